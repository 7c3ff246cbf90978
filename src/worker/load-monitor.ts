import { getHeapStatistics } from 'node:v8'
import type { Clock } from '../base/clock.ts'
import type { Document } from '../config/schema.ts'
import type { LoadLevel, LoadSource } from '../gateway/shedding.ts'

type LoadLimits = NonNullable<Document['shedding']>

const SAMPLE_MS = 20
const HEAP_SAMPLE_MS = 1000
/** Without news the lag falls to a half in this time. */
const HALF_LIFE_MS = 500
/** By level: enters it above so many times maxLagMs, and leaves it below this share of that. */
const LAG_FACTORS = [0, 1, 2, 4] as const
const LAG_RELEASE_RATIO = 0.7
/** A worker that stood still for an hour (a laptop asleep) is not overloaded for a minute. */
const MAX_LAG_FACTOR = 8
const HEAP_LEVEL = 2
const HEAP_RELEASE_RATIO = 0.9

/**
 * Tells how overloaded this worker is, by how late a timer comes and how full its heap is. A rise of the lag counts at
 * once: after a stall the timer comes before the requests that gathered meanwhile. It goes down by halves, and a level
 * is left lower than it was entered, so that a load just at a limit does not switch it to and fro.
 *
 * The timer is our own: perf_hooks.monitorEventLoopDelay costs the same (3 ms a second of an idle core for either, most
 * of it for waking up) and would need a second one to be read by. Reading the heap takes 3 µs.
 */
export class LoadMonitor implements LoadSource {
  level: LoadLevel = 0
  readonly #clock: Clock
  readonly #readHeapRatio: () => number
  #limits: LoadLimits | null = null
  #timer: NodeJS.Timeout | null = null
  #sampledMs = 0
  #heapSampledMs = 0
  #lagMs = 0
  #heapRatio = 0
  #lagLevel: LoadLevel = 0
  #isHeapFull = false

  /** `readHeapRatio`: how full the heap is, 0 to 1; tests bring their own. */
  constructor(clock: Clock, readHeapRatio: () => number = heapRatioOfThisThread) {
    this.#clock = clock
    this.#readHeapRatio = readHeapRatio
  }

  /** How late the loop has been of late, in milliseconds; decays. */
  get lagMs(): number {
    return this.#lagMs
  }

  /** As of the last look, at most a second ago. */
  get heapRatio(): number {
    return this.#heapRatio
  }

  /** Goes by `limits` from now on; null: measures nothing, and the level is 0. */
  configure(limits: LoadLimits | null): void {
    this.#limits = limits
    if (limits === null) this.stop()
    else this.#start()
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    this.#lagMs = this.#heapRatio = 0
    this.#isHeapFull = false
    this.level = this.#lagLevel = 0
  }

  /** Called by the timer; tests call it with their own clock. */
  sample(): void {
    if (this.#limits === null) return
    const { maxLagMs, maxHeapRatio } = this.#limits
    const nowMs = this.#clock.nowMs()
    const sinceMs = nowMs - this.#sampledMs
    this.#sampledMs = nowMs
    const lateMs = Math.min(Math.max(0, sinceMs - SAMPLE_MS), maxLagMs * MAX_LAG_FACTOR)
    this.#lagMs = Math.max(lateMs, this.#lagMs * 2 ** (-sinceMs / HALF_LIFE_MS))
    this.#lagLevel = lagLevelOf(this.#lagMs / maxLagMs, this.#lagLevel)
    if (nowMs - this.#heapSampledMs >= HEAP_SAMPLE_MS) {
      this.#heapSampledMs = nowMs
      this.#heapRatio = this.#readHeapRatio()
      this.#isHeapFull = this.#heapRatio > maxHeapRatio * (this.#isHeapFull ? HEAP_RELEASE_RATIO : 1)
    }
    this.level = this.#isHeapFull && this.#lagLevel < HEAP_LEVEL ? HEAP_LEVEL : this.#lagLevel
  }

  #start(): void {
    if (this.#timer !== null) return
    this.#sampledMs = this.#clock.nowMs()
    this.#heapSampledMs = this.#sampledMs - HEAP_SAMPLE_MS
    this.#timer = setInterval(() => this.sample(), SAMPLE_MS)
    this.#timer.unref()
  }
}

/** `ratio`: of the lag to maxLagMs. */
function lagLevelOf(ratio: number, before: LoadLevel): LoadLevel {
  let level: number = before
  while (level < 3 && ratio > LAG_FACTORS[level + 1]!) level++
  while (level > 0 && ratio < LAG_FACTORS[level]! * LAG_RELEASE_RATIO) level--
  return level as LoadLevel
}

/** Of this worker's isolate, garbage that waits for the collector included. */
function heapRatioOfThisThread(): number {
  const { used_heap_size: usedBytes, heap_size_limit: limitBytes } = getHeapStatistics()
  return usedBytes / limitBytes
}
