import type { LimitSettings } from './limit-settings.ts'
import type { LimitTable } from './limit-table.ts'
import { TokenBucket } from './token-bucket.ts'

/** What the limits of a route say to one request. The lists have an entry for each limit, in the order of the document. */
export class Decision {
  /** `unavailable`: the authority does not answer, and a limit denies then. */
  outcome: 'admitted' | 'denied' | 'unavailable' = 'admitted'
  /** Of what was denied: who waits that long is admitted, if nobody else asks meanwhile. */
  retryAfterMs = 0
  /** Index of the limit that denied; -1: none. */
  deniedBy = -1
  /** Whole tokens left; null: not known (the authority does not answer). */
  readonly remaining: (number | null)[]
  /** Until the bucket is full. */
  readonly fullInMs: number[]

  constructor(count: number) {
    this.remaining = Array<number | null>(count).fill(null)
    this.fullInMs = Array<number>(count).fill(0)
  }

  /** Ready for another request. */
  reset(): this {
    this.outcome = 'admitted'
    this.retryAfterMs = 0
    this.deniedBy = -1
    return this
  }
}

/** Told of each request that a shadow limit would have denied; `index` of the limit. */
export type OnShadowDenial = (index: number) => void

/** The limits of one route in one worker. */
export interface Limiter {
  /**
   * Charges a request to all limits or to none; shadow limits only if it was admitted. `keys`: one for each limit, used
   * during the call only. A decision that comes at once is good until the next call.
   */
  take(keys: readonly string[]): Decision | Promise<Decision>
}

/**
 * Limits of one process without a store: exact over its threads, always answered at once. Token buckets in shared
 * memory rather than leases of an authority in the process: a thread reaches the bucket itself as fast as a lease, so
 * there is nothing to fetch ahead, nothing to hold back for what is in flight, and no rounding to the end of a lease.
 *
 * All are looked at before the first is charged, so a denial charges nothing; only where another thread comes in between is
 * something given back (see TokenBucket.undo).
 */
export class EmbeddedLimiter implements Limiter {
  readonly #table: LimitTable
  readonly #buckets: readonly TokenBucket[]
  /** Indexes of the limits that can deny, and of those that can't. */
  readonly #real: readonly number[]
  readonly #shadows: readonly number[]
  readonly #onShadowDenial: OnShadowDenial
  readonly #decision: Decision

  constructor(table: LimitTable, limits: readonly LimitSettings[], onShadowDenial: OnShadowDenial) {
    this.#table = table
    this.#onShadowDenial = onShadowDenial
    this.#buckets = limits.map(limit => new TokenBucket(table, limit))
    this.#real = indexesOf(limits, limit => !limit.isShadow)
    this.#shadows = indexesOf(limits, limit => limit.isShadow)
    this.#decision = new Decision(limits.length)
  }

  take(keys: readonly string[]): Decision {
    const decision = this.#decision.reset()
    const real = this.#real
    const nowMs = this.#table.nowMs()
    for (const index of real) this.#buckets[index]!.locate(keys[index]!)
    if (real.length > 1) {
      for (const index of real) if (!this.#buckets[index]!.canCharge(nowMs)) this.#deny(index)
    }
    for (let at = 0; at < real.length && decision.outcome === 'admitted'; at++) {
      if (this.#buckets[real[at]!]!.charge(nowMs)) continue
      this.#deny(real[at]!)
      const undoMs = this.#table.nowMs()
      for (let charged = 0; charged < at; charged++) this.#buckets[real[charged]!]!.undo(undoMs)
    }
    if (decision.outcome === 'admitted') {
      for (const index of this.#shadows) {
        const bucket = this.#buckets[index]!
        bucket.locate(keys[index]!)
        if (!bucket.charge(nowMs)) this.#onShadowDenial(index)
      }
    }
    for (let index = 0; index < this.#buckets.length; index++) {
      decision.remaining[index] = this.#buckets[index]!.remaining
      decision.fullInMs[index] = this.#buckets[index]!.fullInMs
    }
    return decision
  }

  /** Of several the longest wait counts. */
  #deny(index: number): void {
    const decision = this.#decision
    const { retryAfterMs } = this.#buckets[index]!
    if (decision.outcome === 'denied' && retryAfterMs <= decision.retryAfterMs) return
    decision.outcome = 'denied'
    decision.retryAfterMs = retryAfterMs
    decision.deniedBy = index
  }
}

export function indexesOf(limits: readonly LimitSettings[], matches: (limit: LimitSettings) => boolean): number[] {
  return limits.flatMap((limit, index) => (matches(limit) ? [index] : []))
}
