import { resolve as resolvePath } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { ConfigError, printProblem } from '../config/config-error.ts'
import { ConcurrencyTable } from '../limits/concurrency-table.ts'
import { LimitTable } from '../limits/limit-table.ts'
import { createLog } from '../telemetry/log.ts'
import { AccessLogWriter } from './access-log-writer.ts'
import { AdminPlane } from './admin/admin-plane.ts'
import { createStatus } from './admin/status.ts'
import { createDirectory } from './create-directory.ts'
import type { DeclaredIdentities } from './identities.ts'
import { type LoadedDocument, loadDocument } from './loader.ts'
import { NonceMemory } from './nonce-memory.ts'
import { findPorts } from './ports.ts'
import { Publisher } from './publisher.ts'
import { withPorts } from './snapshot-parts.ts'
import { Supervisor } from './supervisor.ts'
import { FileWatch } from './watch.ts'

/**
 * Marking runs beside the threads of the gateway, in as many threads as V8 likes (four): together they would leave a
 * worker a fifth of its core while a large document is taken over. Measured with 50,000 routes and 5,000 requests a
 * second on one core: p99 during a reload 100 ms with four, below 30 ms with one.
 */
const COLLECTOR_FLAGS = '--concurrent-marking-max-worker-num=1'

export type StartOptions = { readonly configFile: string; readonly watch: boolean }

/**
 * Runs the gateway until SIGTERM or SIGINT: loads the document, starts the workers, reloads on SIGHUP and, with `watch`,
 * on a change of the document or a file that it names. Answers the exit code: 0 after a drain, 1 when it could not
 * start. Throws ConfigError for a document that is not valid at the start; later ones are logged and not served.
 */
export async function startGateway({ configFile, watch }: StartOptions): Promise<number> {
  setFlagsFromString(COLLECTOR_FLAGS)
  // From the first moment on: a SIGHUP that nobody listens to would end the process.
  const stopped = new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  let onHangup = (): void => { isAskedAgain = true }
  process.on('SIGHUP', () => onHangup())
  let isAskedAgain = false
  const file = resolvePath(configFile)
  const log = createLog()
  const first = await loadDocument({ file, isReload: false, servedVersion: null })
  if (first === null) throw new Error('the first document can\'t be unchanged')
  let served: LoadedDocument = first
  // Read by uWebSockets.js when the first worker loads it.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] = String(served.document.bounds.maxHeadBytes)

  let ports: Map<string, number>
  let admin: AdminPlane
  try {
    ports = await findPorts(addressesOf(served), new Map())
    admin = await AdminPlane.open(served.document, declaredBy(served), log, message => supervisor.broadcast(message))
  } catch (cause) {
    log.fatal({ event: 'startFailed', problem: (cause as Error).message })
    return 1
  }

  const accessLog = new AccessLogWriter(served.document.accessLog, log)
  const directory = createDirectory(log, (upstream, table) => supervisor.broadcast({ type: 'endpoints', upstream, table }))
  await directory.apply(served.document.upstreams, served.files)
  const nonces = new NonceMemory()
  nonces.follow(served.document.authenticators)
  const beside = () => ({ tables: directory.tables(), nonces: nonces.current })
  // Each thread needs a share: this one, the workers, and those that are replaced.
  const memories = { limits: LimitTable.allocate(), concurrency: ConcurrencyTable.allocate(undefined, 2 * served.document.workers + 7) }
  const tables = [new LimitTable(memories.limits), new ConcurrencyTable(memories.concurrency)]
  const publisher: Publisher = new Publisher(withPorts(served.parts, ports), () => supervisor, beside)
  const supervisor: Supervisor = new Supervisor(served.document.workers, () => ({ parts: publisher.current, ...beside(), identities: admin.identities(), memories }), log, {
    onMessage: (worker, message) => {
      switch (message.type) {
        case 'accessLog': return accessLog.write(message.lines)
        case 'log': return log[message.line.level]({ event: message.line.event, worker, ...message.line.details })
        case 'fault': return log.error({ event: 'fault', worker, problem: message.message })
        case 'upstreamEvent': {
          const line = { event: message.event, worker, upstream: message.upstream, ...message.details }
          return message.event === 'mirrorReport' ? log.info(line) : log.warn(line)
        }
        default: return publisher.onMessage(worker, message)
      }
    },
    onExit: (worker, threadId) => {
      publisher.onExit(worker)
      for (const table of tables) table.releaseThread(threadId)
    },
  })
  try {
    await supervisor.start()
    await admin.listen(createStatus(() => ({
      version: publisher.current.version,
      workers: { configured: supervisor.count, ready: supervisor.ready().length },
      tables: directory.tables(),
    })))
  } catch (cause) {
    log.fatal({ event: 'startFailed', problem: (cause as Error).message })
    directory.stop()
    await supervisor.drain(0)
    await admin.close()
    return 1
  }

  const reload = async (): Promise<void> => {
    try {
      const next = await loadDocument({ file, isReload: true, servedVersion: served.parts.version })
      if (next === null) {
        log.info({ event: 'unchanged', version: served.parts.version })
        return
      }
      const nextPorts = await findPorts(addressesOf(next), ports)
      const bring = async (loaded: LoadedDocument): Promise<void> => {
        await directory.apply(loaded.document.upstreams, loaded.files)
        nonces.follow(loaded.document.authenticators)
        admin.follow(declaredBy(loaded))
      }
      await bring(next)
      await publisher.publish(withPorts(next.parts, nextPorts)).catch(async cause => {
        await bring(served)
        // What was told for the refused version meanwhile, also to a worker that started then, does not fit the served one.
        for (const [upstream, table] of Object.entries(directory.tables())) supervisor.broadcast({ type: 'endpoints', upstream, table })
        throw cause
      })
      ports = nextPorts
      await accessLog.follow(next.document.accessLog)
      const needsRestart = changesThatNeedRestart(served, next)
      if (needsRestart.length > 0) log.warn({ event: 'restartNeeded', keys: needsRestart })
      served = next
      log.info({ event: 'published', version: next.parts.version, routes: next.routeCount })
    } catch (cause) {
      const problems = cause instanceof ConfigError ? cause.problems.map(printProblem) : [(cause as Error).message]
      log.error({ event: 'rejected', serving: served.parts.version, problems })
    }
  }
  // One after the other; a burst of signals while one is under way is one more reload.
  let underWay: Promise<void> | null = null
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
  const follow = (): void => fileWatch?.follow([file, ...Object.keys(served.files)])
  follow()

  onHangup = requestReload
  process.stdout.write(`${listeningLine(served, ports, supervisor.count)}\n`)
  if (isAskedAgain) requestReload()

  await stopped
  fileWatch?.stop()
  directory.stop()
  log.info({ event: 'draining', timeoutMs: served.document.drainTimeoutMs })
  const cut = await supervisor.drain(served.document.drainTimeoutMs)
  await admin.close()
  await accessLog.close()
  log.info({ event: 'stopped', cutExchanges: cut })
  return 0
}

const declaredBy = ({ document }: LoadedDocument): DeclaredIdentities => ({ consumers: document.consumers, plans: Object.keys(document.plans) })

const addressesOf = ({ document }: LoadedDocument): string[] => document.listeners.map(listener => listener.address)

function changesThatNeedRestart(before: LoadedDocument, after: LoadedDocument): string[] {
  const keys: string[] = []
  if (before.document.workers !== after.document.workers) keys.push('/workers')
  if (before.document.bounds.maxHeadBytes !== after.document.bounds.maxHeadBytes) keys.push('/bounds/maxHeadBytes')
  for (const key of ['admin', 'dataDirectory', 'redis'] as const) {
    if (JSON.stringify(before.document[key]) !== JSON.stringify(after.document[key])) keys.push(`/${key}`)
  }
  return keys
}

function listeningLine(served: LoadedDocument, ports: ReadonlyMap<string, number>, workers: number): string {
  const urls = served.document.listeners.map(({ address, tls }) => {
    const host = address.slice(0, address.lastIndexOf(':'))
    return `${tls === undefined ? 'http' : 'https'}://${host}:${ports.get(address)}`
  })
  return `penstock listens on ${urls.join(', ')} (${workers} ${workers === 1 ? 'worker' : 'workers'}, version ${served.parts.version})`
}
