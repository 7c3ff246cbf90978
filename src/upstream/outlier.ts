import { RollingCounts } from '../base/rolling-counts.ts'
import type { UpstreamConfig } from '../config/schema.ts'

export type OutlierConfig = NonNullable<UpstreamConfig['outlier']>

/** `consecutive`: so many failures in a row; `ratio`: so large a share of the window. */
export type EjectReason = 'consecutive' | 'ratio'

const MAX_TIMES = 10

/**
 * Says when one endpoint has failed so often that it is better left out, and for how long. Whether it may be, beside
 * those that are out already, is for the upstream to say (`mayEject`).
 */
export class OutlierDetector {
  readonly #config: OutlierConfig
  readonly #consecutiveLimit: number
  readonly #counts: RollingCounts | null
  #consecutive = 0
  #ejectedUntilMs = 0
  /** End of the last ejection, also after a `reset`. */
  #cleanSinceMs = 0
  /** Ejections in a row, 1 to 10; lowered by clean periods only when the next one comes. */
  #times = 0

  constructor(config: OutlierConfig) {
    this.#config = config
    this.#consecutiveLimit = config.consecutiveFailures ?? Infinity
    this.#counts = config.failureRatio === null ? null : new RollingCounts(config.windowMs)
  }

  /** End of the last ejection; 0 when there was none. The endpoint is out while this is after now. */
  get ejectedUntilMs(): number {
    return this.#ejectedUntilMs
  }

  /**
   * Takes the outcome of one request. A reason to eject the endpoint now, else null; where it may not be ejected, each
   * further failure gives the reason again. A success never does, also when it makes `minRequests` full.
   */
  record(isFailure: boolean, nowMs: number): EjectReason | null {
    // Requests that were under way at the ejection fail after it; they must not make it longer.
    if (nowMs < this.#ejectedUntilMs) return null
    if (this.#counts !== null) this.#counts.add(isFailure, nowMs)
    if (!isFailure) {
      this.#consecutive = 0
      return null
    }
    this.#consecutive++
    if (this.#consecutive >= this.#consecutiveLimit) return 'consecutive'
    return this.#isOverRatio(nowMs) ? 'ratio' : null
  }

  /** Ejects the endpoint, as much longer each time in a row, and forgets what was counted. Returns until when. */
  eject(nowMs: number): number {
    const cleanMs = Math.max(0, nowMs - this.#cleanSinceMs)
    const cleanPeriods = this.#times === 0 ? 0 : Math.floor(cleanMs / (this.#config.ejectMs * this.#times))
    this.#times = Math.min(MAX_TIMES, Math.max(0, this.#times - cleanPeriods) + 1)
    this.#ejectedUntilMs = this.#cleanSinceMs = nowMs + this.#config.ejectMs * this.#times
    this.#consecutive = 0
    this.#counts?.reset()
    return this.#ejectedUntilMs
  }

  /** Whatever it did before, it begins anew; how often it was ejected is remembered. */
  reset(): void {
    this.#ejectedUntilMs = 0
    this.#consecutive = 0
    this.#counts?.reset()
  }

  #isOverRatio(nowMs: number): boolean {
    if (this.#counts === null) return false
    const total = this.#counts.total(nowMs)
    return total >= this.#config.minRequests && this.#counts.failures(nowMs) / total >= this.#config.failureRatio!
  }
}

/**
 * Whether one more of `total` endpoints may be ejected when `ejected` are out. One always may where there is another,
 * else three endpoints with a ratio of 0.3 would never lose one.
 */
export function mayEject(total: number, ejected: number, maxEjectedRatio: number): boolean {
  return (ejected === 0 && total >= 2) || (ejected + 1) / total <= maxEjectedRatio
}
