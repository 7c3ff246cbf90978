import { Worker } from 'node:worker_threads'
import { nowMs } from '../base/clock.ts'
import type { FromWorker, ToWorker, WorkerData } from '../protocol/messages.ts'
import type { Log } from '../telemetry/log.ts'

/** A worker that lives this long has not crashed at its start. */
const STABLE_MS = 10_000
const FIRST_RESTART_MS = 100
const MAX_RESTART_MS = 30_000
/**
 * Young generation of a worker. What a request allocates is dead when it is answered: the rarer the collections, the less
 * of it they find alive and copy. Measured: 3 to 5 % less CPU per request than with Node's default of 48.
 */
const MAX_YOUNG_GENERATION_MB = 96
/** Crashes in a row that are called a loop. */
const CRASH_LOOP = 3

export interface SupervisorEvents {
  onMessage(worker: number, message: FromWorker): void
  /** A worker is gone; what it was asked is not answered any more. `threadId`: what it was as a thread. */
  onExit(worker: number, threadId: number): void
}

type Slot = { worker: Worker | null; isReady: boolean; crashes: number; timer: NodeJS.Timeout | null }

/**
 * Keeps the worker threads running: one that dies is replaced while the others serve. Each crash in a row doubles the
 * wait, and a loop of them is reported as such.
 */
export class Supervisor {
  readonly #log: Log
  readonly #events: SupervisorEvents
  readonly #workerData: () => WorkerData
  readonly #slots: Slot[]
  #isStopping = false

  /** `workerData`: what a worker that starts now serves. */
  constructor(count: number, workerData: () => WorkerData, log: Log, events: SupervisorEvents) {
    this.#log = log
    this.#events = events
    this.#workerData = workerData
    this.#slots = Array.from({ length: count }, () => ({ worker: null, isReady: false, crashes: 0, timer: null }))
  }

  get count(): number {
    return this.#slots.length
  }

  /** Starts all workers; rejects when one of them does not come up. */
  async start(): Promise<void> {
    await Promise.all(this.#slots.map((_, index) => this.#startWorker(index)))
  }

  /** Workers that serve now. */
  ready(): number[] {
    return this.#slots.flatMap((slot, index) => (slot.isReady ? [index] : []))
  }

  send(index: number, message: ToWorker): void {
    this.#slots[index]?.worker?.postMessage(message)
  }

  /** To all that run, also those that are not ready yet. */
  broadcast(message: ToWorker): void {
    for (const { worker } of this.#slots) worker?.postMessage(message)
  }

  /** Workers finish what they have; answers how many exchanges were cut off at the end of their time. */
  async drain(timeoutMs: number): Promise<number> {
    this.#isStopping = true
    for (const slot of this.#slots) if (slot.timer !== null) clearTimeout(slot.timer)
    const cuts = await Promise.all(this.#slots.map(slot => drainWorker(slot.worker, timeoutMs)))
    return cuts.reduce((sum, cut) => sum + cut, 0)
  }

  #startWorker(index: number): Promise<void> {
    const slot = this.#slots[index]!
    const startMs = nowMs()
    const worker = new Worker(new URL('../worker/entry.js', import.meta.url), {
      workerData: this.#workerData(),
      resourceLimits: { maxYoungGenerationSizeMb: MAX_YOUNG_GENERATION_MB },
    })
    slot.worker = worker
    // -1 once it has ended.
    const { threadId } = worker
    return new Promise((resolve, reject) => {
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'ready') {
          slot.isReady = true
          resolve()
        }
        this.#events.onMessage(index, message)
      })
      worker.on('error', cause => {
        this.#log.error({ event: 'workerFailed', worker: index, problem: cause.message })
        reject(cause)
      })
      worker.on('exit', () => {
        const wasReady = slot.isReady
        slot.isReady = false
        slot.worker = null
        reject(new Error(`worker ${index} ended before it was ready`))
        this.#events.onExit(index, threadId)
        if (!this.#isStopping && (wasReady || slot.crashes > 0)) this.#restartLater(index, nowMs() - startMs)
      })
    })
  }

  #restartLater(index: number, livedMs: number): void {
    const slot = this.#slots[index]!
    slot.crashes = livedMs > STABLE_MS ? 1 : slot.crashes + 1
    const waitMs = Math.min(FIRST_RESTART_MS * 2 ** (slot.crashes - 1), MAX_RESTART_MS)
    const event = slot.crashes >= CRASH_LOOP ? 'workerCrashLoop' : 'workerRestart'
    this.#log.error({ event, worker: index, crashes: slot.crashes, waitMs })
    slot.timer = setTimeout(() => {
      slot.timer = null
      this.#startWorker(index).then(
        () => this.#log.info({ event: 'workerReplaced', worker: index }),
        () => { /* Its exit has planned the next try. */ },
      )
    }, waitMs)
  }
}

function drainWorker(worker: Worker | null, timeoutMs: number): Promise<number> {
  if (worker === null) return Promise.resolve(0)
  return new Promise(resolve => {
    let cut = 0
    worker.on('message', (message: FromWorker) => { if (message.type === 'drained') cut = message.cut })
    worker.once('exit', () => resolve(cut))
    worker.postMessage({ type: 'drain', timeoutMs } satisfies ToWorker)
    // A worker that does not even count its time any more.
    setTimeout(() => { void worker.terminate() }, timeoutMs + 2000).unref()
  })
}
