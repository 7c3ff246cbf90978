import { resolve as resolvePath } from 'node:path'
import { ConfigError, printProblem } from '../config/config-error.ts'
import { loadSnapshot } from '../config/load.ts'
import type { Snapshot } from '../config/snapshot.ts'
import { createLog } from '../telemetry/log.ts'
import { AccessLogWriter } from './access-log-writer.ts'
import { findPorts } from './ports.ts'
import { dryRun, Publisher } from './publisher.ts'
import { toParts } from './snapshot-parts.ts'
import { Supervisor } from './supervisor.ts'
import { FileWatch } from './watch.ts'

export type StartOptions = { readonly configFile: string; readonly watch: boolean }

/**
 * Runs the gateway until SIGTERM or SIGINT: loads the document, starts the workers, reloads on SIGHUP and, with `watch`,
 * on a change of the document or a file that it names. Answers the exit code: 0 after a drain, 1 when it could not
 * start. Throws ConfigError for a document that is not valid at the start; later ones are logged and not served.
 */
export async function startGateway({ configFile, watch }: StartOptions): Promise<number> {
  const file = resolvePath(configFile)
  const log = createLog()
  let snapshot = loadSnapshot(file, process.env)
  await dryRun(snapshot)
  // Read by uWebSockets.js when the first worker loads it.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(snapshot.document.bounds.maxHeadBytes)

  let ports: Map<string, number>
  try {
    ports = await findPorts(snapshot.document.listeners.map(listener => listener.address), new Map())
  } catch (cause) {
    log.fatal({ event: 'startFailed', problem: (cause as Error).message })
    return 1
  }

  const accessLog = new AccessLogWriter(snapshot.document.accessLog, log)
  const publisher: Publisher = new Publisher(toParts(snapshot, ports), () => supervisor)
  const supervisor = new Supervisor(snapshot.document.workers, () => publisher.current, log, {
    onMessage: (worker, message) => {
      if (message.type === 'accessLog') accessLog.write(message.lines)
      else if (message.type === 'fault') log.error({ event: 'fault', worker, problem: message.message })
      else publisher.onMessage(worker, message)
    },
    onExit: worker => publisher.onExit(worker),
  })
  try {
    await supervisor.start()
  } catch (cause) {
    log.fatal({ event: 'startFailed', problem: (cause as Error).message })
    await supervisor.drain(0)
    return 1
  }

  const reload = async (): Promise<void> => {
    try {
      const next = loadSnapshot(file, process.env)
      if (next.version === snapshot.version) {
        log.info({ event: 'unchanged', version: next.version })
        return
      }
      await dryRun(next)
      const nextPorts = await findPorts(next.document.listeners.map(listener => listener.address), ports)
      await publisher.publish(toParts(next, nextPorts))
      ports = nextPorts
      await accessLog.follow(next.document.accessLog)
      const needsRestart = changesThatNeedRestart(snapshot, next)
      if (needsRestart.length > 0) log.warn({ event: 'restartNeeded', keys: needsRestart })
      snapshot = next
      log.info({ event: 'published', version: next.version, routes: next.document.routes.length })
    } catch (cause) {
      const problems = cause instanceof ConfigError ? cause.problems.map(printProblem) : [(cause as Error).message]
      log.error({ event: 'rejected', serving: snapshot.version, problems })
    }
  }
  // One after the other; a burst of signals while one is under way is one more reload.
  let underWay: Promise<void> | null = null
  let isAskedAgain = false
  const requestReload = (): void => {
    if (underWay !== null) {
      isAskedAgain = true
      return
    }
    underWay = reload().finally(() => {
      underWay = null
      follow()
      if (isAskedAgain) {
        isAskedAgain = false
        requestReload()
      }
    })
  }
  const fileWatch = watch ? new FileWatch(requestReload) : null
  const follow = (): void => fileWatch?.follow([file, ...Object.keys(snapshot.files)])
  follow()

  process.on('SIGHUP', requestReload)
  process.stdout.write(`${listeningLine(snapshot, ports, supervisor.count)}\n`)

  await new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  fileWatch?.stop()
  log.info({ event: 'draining', timeoutMs: snapshot.document.drainTimeoutMs })
  const cut = await supervisor.drain(snapshot.document.drainTimeoutMs)
  await accessLog.close()
  log.info({ event: 'stopped', cutExchanges: cut })
  return 0
}

function changesThatNeedRestart(before: Snapshot, after: Snapshot): string[] {
  const keys: string[] = []
  if (before.document.workers !== after.document.workers) keys.push('/workers')
  if (before.document.bounds.maxHeadBytes !== after.document.bounds.maxHeadBytes) keys.push('/bounds/maxHeadBytes')
  return keys
}

function listeningLine(snapshot: Snapshot, ports: ReadonlyMap<string, number>, workers: number): string {
  const urls = snapshot.document.listeners.map(({ address, tls }) => {
    const host = address.slice(0, address.lastIndexOf(':'))
    return `${tls === undefined ? 'http' : 'https'}://${host}:${ports.get(address)}`
  })
  return `penstock listens on ${urls.join(', ')} (${workers} ${workers === 1 ? 'worker' : 'workers'}, version ${snapshot.version})`
}
