import { parentPort, workerData } from 'node:worker_threads'
import { monotonicClock, nowMs } from '../base/clock.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { silenceUws } from '../downstream/uws-settings.ts'
import { compile } from '../gateway/compile.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { Runtime } from '../gateway/runtime.ts'
import type { FromWorker, SnapshotParts, ToWorker, WorkerData } from '../protocol/messages.ts'
import { AccessLog } from '../telemetry/access-log.ts'
import { guardAgainstCrash } from './crash-guard.ts'
import { Listeners } from './listeners.ts'
import { snapshotSource } from './snapshot-source.ts'

/**
 * A new snapshot is compiled in slices with a rest between them: at most a fifth of the thread. A loop turn between
 * slices would not do: what a slice allocates makes the collector run beside it, on the core of the exchanges.
 */
const COMPILE_SLICE_MS = 1
const COMPILE_REST_MS = 4

const port = parentPort!
const send = (message: FromWorker): void => port.postMessage(message)

const wheel = new TimerWheel(monotonicClock)
const accessLog = new AccessLog(lines => port.postMessage({ type: 'accessLog', lines } satisfies FromWorker, [lines.buffer]))
const onFault = (cause: unknown): void => {
  send({ type: 'fault', message: cause instanceof Error ? cause.stack ?? cause.message : String(cause) })
}

/** The data plane of this thread; there from the first version on. */
let gateway: Gateway | null = null
const listeners = new Listeners(isTls => (response, request, remotes) => gateway!.accept(response, request, remotes, isTls))

type Prepared = { readonly runtime: Runtime; readonly listeners: Awaited<ReturnType<Listeners['prepare']>> }
let prepared: Prepared | null = null

async function prepare(parts: SnapshotParts): Promise<Prepared> {
  prepared?.listeners.abandon()
  prepared = null
  const runtime = await compile(snapshotSource(parts), { wheel, previous: gateway?.runtime ?? null, pause: restBetweenSlices() })
  return { runtime, listeners: await listeners.prepare(parts.listeners) }
}

function commit(version: string): void {
  if (prepared === null || prepared.runtime.version !== version) return
  gateway!.swap(prepared.runtime)
  prepared.listeners.commit()
  prepared = null
  send({ type: 'committed', version })
}

function drain(timeoutMs: number): void {
  if (gateway!.isDraining) return
  gateway!.isDraining = true
  listeners.stop()
  const finish = (): void => {
    gateway!.onIdle = null
    clearTimeout(timer)
    const cut = gateway!.openExchanges
    listeners.close()
    gateway!.destroy()
    accessLog.flush()
    send({ type: 'drained', cut })
    // Nothing is left to wait for, so the thread ends by itself.
    port.close()
    wheel.stop()
  }
  const timer = setTimeout(finish, timeoutMs)
  if (gateway!.openExchanges === 0) finish()
  else gateway!.onIdle = finish
}

function restBetweenSlices(): () => Promise<void> {
  let sliceStartMs = nowMs()
  return async () => {
    if (nowMs() - sliceStartMs < COMPILE_SLICE_MS) return
    await new Promise(resolve => setTimeout(resolve, COMPILE_REST_MS))
    sliceStartMs = nowMs()
  }
}

async function start(parts: SnapshotParts): Promise<void> {
  silenceUws()
  wheel.start()
  const first = await compile(snapshotSource(parts), { wheel, previous: null, pause: async () => {} })
  gateway = new Gateway(first, { wheel, accessLog, onFault })
  const opened = await listeners.prepare(parts.listeners)
  opened.commit()
  port.on('message', onMessage)
  send({ type: 'ready' })
}

function onMessage(message: ToWorker): void {
  switch (message.type) {
    case 'prepare': {
      const { parts } = message
      prepare(parts).then(
        next => { prepared = next; send({ type: 'prepared', version: parts.version }) },
        cause => send({ type: 'refused', version: parts.version, problem: cause instanceof Error ? cause.message : String(cause) }),
      )
      break
    }
    case 'commit': commit(message.version); break
    case 'abandon':
      if (prepared?.runtime.version === message.version) {
        prepared.listeners.abandon()
        prepared = null
      }
      break
    case 'drain': drain(message.timeoutMs); break
  }
}

guardAgainstCrash(cause => {
  onFault(cause)
  accessLog.flush()
  listeners.close()
})
await start((workerData as WorkerData).parts)
