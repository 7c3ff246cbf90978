import { parentPort, workerData } from 'node:worker_threads'
import { monotonicClock, nowMs } from '../base/clock.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { silenceUws } from '../downstream/uws-settings.ts'
import { compile, type CompileOptions } from '../gateway/compile.ts'
import { Gateway } from '../gateway/gateway.ts'
import type { Runtime } from '../gateway/runtime.ts'
import { LiveIdentities } from '../policies/auth/live-identities.ts'
import type { EndpointTable } from '../protocol/endpoint-table.ts'
import type { FromWorker, ToWorker, WorkerData } from '../protocol/messages.ts'
import { AccessLog } from '../telemetry/access-log.ts'
import { guardAgainstCrash } from './crash-guard.ts'
import { type LimitSetup, setUpLimits } from './limit-setup.ts'
import { Listeners } from './listeners.ts'
import { LoadMonitor } from './load-monitor.ts'
import { snapshotSource } from './snapshot-source.ts'

/**
 * A new snapshot is compiled in slices with a rest between them: at most a fifth of the thread. A loop turn between
 * slices would not do: what a slice allocates makes the collector run beside it, on the core of the exchanges.
 */
const COMPILE_SLICE_MS = 1
const COMPILE_REST_MS = 4

const MIRROR_REPORT_MS = 10_000

const port = parentPort!
const send = (message: FromWorker): void => port.postMessage(message)

const wheel = new TimerWheel(monotonicClock)
const load = new LoadMonitor(monotonicClock)
const accessLog = new AccessLog(lines => port.postMessage({ type: 'accessLog', lines } satisfies FromWorker, [lines.buffer]))
const onFault = (cause: unknown): void => {
  send({ type: 'fault', message: cause instanceof Error ? cause.stack ?? cause.message : String(cause) })
}

const onUpstreamEvent: CompileOptions['onUpstreamEvent'] = (event, upstream, details) => send({ type: 'upstreamEvent', event, upstream, details })

/** Who may call, as changed at run time. */
const live = new LiveIdentities()

/** For all versions: a reload leaves the buckets as they are. */
let limits: LimitSetup | null = null

/** The data plane of this thread; there from the first version on. */
let gateway: Gateway | null = null
const listeners = new Listeners(isTls => (response, request, remotes) => gateway!.accept(response, request, remotes, isTls))

type Prepared = { readonly runtime: Runtime; readonly listeners: Awaited<ReturnType<Listeners['prepare']>> }
let prepared: Prepared | null = null
/** Tables that came since the last `prepare`. */
const late = new Map<string, EndpointTable>()

async function prepare({ parts, tables, nonces }: Extract<ToWorker, { type: 'prepare' }>): Promise<Prepared> {
  prepared?.listeners.abandon()
  prepared = null
  late.clear()
  const previous = gateway?.runtime ?? null
  const runtime = await compile(snapshotSource(parts), { wheel, tables, onUpstreamEvent, live, nonceMemory: name => nonces[name]!, limits: limits!.service, previous, pause: restBetweenSlices() })
  // What was told while it compiled.
  for (const [name, table] of late) runtime.applyEndpoints(name, table)
  return { runtime, listeners: await listeners.prepare(parts.listeners) }
}

function commit(version: string): void {
  if (prepared === null || prepared.runtime.version !== version) return
  reportMirrors(gateway!.runtime)
  gateway!.swap(prepared.runtime)
  load.configure(prepared.runtime.shedding)
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
    load.stop()
    limits!.close()
    reportMirrors(gateway!.runtime)
    // Nothing is left to wait for, so the thread ends by itself.
    port.close()
    wheel.stop()
  }
  const timer = setTimeout(finish, timeoutMs)
  if (gateway!.openExchanges === 0) finish()
  else gateway!.onIdle = finish
}

/** What copies of requests came to since the last report. */
function reportMirrors(runtime: Runtime): void {
  for (const [route, mirror] of runtime.mirrors) {
    const counters = mirror.takeCounters()
    if (counters.copied > 0 || counters.dropped > 0) onUpstreamEvent('mirrorReport', mirror.upstreamName, { route, ...counters })
  }
}

function restBetweenSlices(): () => Promise<void> {
  let sliceStartMs = nowMs()
  return async () => {
    if (nowMs() - sliceStartMs < COMPILE_SLICE_MS) return
    await new Promise(resolve => setTimeout(resolve, COMPILE_REST_MS))
    sliceStartMs = nowMs()
  }
}

async function start({ parts, tables, nonces, identities, memories }: WorkerData): Promise<void> {
  const source = snapshotSource(parts)
  limits = await setUpLimits(memories, source.document.redis, source.files, line => send({ type: 'log', line }))
  live.apply(identities)
  silenceUws()
  wheel.start()
  const first = await compile(source, { wheel, tables, onUpstreamEvent, live, nonceMemory: name => nonces[name]!, limits: limits.service, previous: null, pause: async () => {} })
  load.configure(first.shedding)
  gateway = new Gateway(first, { wheel, accessLog, load, onFault })
  const opened = await listeners.prepare(parts.listeners)
  opened.commit()
  setInterval(() => reportMirrors(gateway!.runtime), MIRROR_REPORT_MS).unref()
  port.on('message', onMessage)
  send({ type: 'ready', version: first.version })
}

function onMessage(message: ToWorker): void {
  switch (message.type) {
    case 'prepare': {
      const { parts } = message
      prepare(message).then(
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
    case 'endpoints':
      late.set(message.upstream, message.table)
      gateway!.runtime.applyEndpoints(message.upstream, message.table)
      prepared?.runtime.applyEndpoints(message.upstream, message.table)
      break
    case 'identities': live.apply(message); break
    case 'drain': drain(message.timeoutMs); break
  }
}

guardAgainstCrash(cause => {
  onFault(cause)
  accessLog.flush()
  listeners.close()
})
await start(workerData as WorkerData)
