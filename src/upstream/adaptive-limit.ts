import type { UpstreamConfig } from '../config/schema.ts'

export type AdaptiveLimitConfig = NonNullable<UpstreamConfig['breaker']['adaptive']>

const INITIAL_LIMIT = 20
/** A window lasts at least this long and holds at least so many requests; fewer would be noise. */
const WINDOW_MS = 250
const WINDOW_REQUESTS = 10
/** What the long latency remembers, in windows: ten minutes. A shorter memory takes an overload for normal sooner. */
const LONG_WINDOWS = 2400
/** The long latency is a plain mean of so many windows at first, so that the very first one does not rule it. */
const WARM_UP_WINDOWS = 10
/** Latency may rise to so many times the long one before the limit falls. */
const TOLERANCE = 1.5
/** Share of the way that one window moves the limit. */
const SMOOTHING = 0.2
/** No window takes more than half, neither by latency nor by drops. */
const LOWEST_GRADIENT = 0.5

/**
 * How many requests may be with an upstream at a time, found by latency: where it rises above its long-term mean, a
 * queue has formed there, and the limit falls in proportion; else it grows by its square root. Dropped requests (no
 * answer in time, refused) lower it by half their share: to half when all are dropped, by next to nothing when one in
 * a thousand is. While no more than half of the limit is used, latency says nothing about it: only drops move it then.
 * Source: Netflix concurrency-limits, Gradient2Limit and WindowedLimit.
 */
export class AdaptiveLimit {
  readonly #config: AdaptiveLimitConfig
  #limit: number
  /** With the fraction that `#limit` lacks. */
  #exactLimit: number
  #longMs = 0
  #windows = 0
  #windowEndMs = 0
  #requests = 0
  #drops = 0
  #latencySumMs = 0
  #maxInFlight = 0

  constructor(config: AdaptiveLimitConfig) {
    this.#config = config
    this.#exactLimit = this.#bound(INITIAL_LIMIT)
    this.#limit = this.#exactLimit
  }

  /** Integer, within the bounds of the configuration. */
  get limit(): number {
    return this.#limit
  }

  /**
   * Takes the end of one request. `inFlight`: how many there were, this one included. `isDropped`: by overload; then
   * `latencyMs` does not count, since it is that of a timeout or of a refusal.
   */
  record(latencyMs: number, inFlight: number, isDropped: boolean, nowMs: number): void {
    if (this.#requests === 0) this.#windowEndMs = nowMs + WINDOW_MS
    this.#requests++
    if (isDropped) this.#drops++
    else this.#latencySumMs += latencyMs
    if (inFlight > this.#maxInFlight) this.#maxInFlight = inFlight
    if (nowMs >= this.#windowEndMs && this.#requests >= WINDOW_REQUESTS) this.#endWindow()
  }

  #endWindow(): void {
    const answers = this.#requests - this.#drops
    if (answers > 0) this.#followLatency(this.#latencySumMs / answers)
    this.#exactLimit = this.#bound(this.#exactLimit * (1 - (1 - LOWEST_GRADIENT) * this.#drops / this.#requests))
    this.#limit = Math.floor(this.#exactLimit)
    this.#requests = 0
    this.#drops = 0
    this.#latencySumMs = 0
    this.#maxInFlight = 0
  }

  #followLatency(shortMs: number): void {
    this.#windows++
    const share = this.#windows <= WARM_UP_WINDOWS ? 1 / this.#windows : 2 / (LONG_WINDOWS + 1)
    this.#longMs += (shortMs - this.#longMs) * share
    // After a long overload the mean would let the next one pass for minutes.
    if (this.#longMs > 2 * shortMs) this.#longMs *= 0.95
    const limit = this.#exactLimit
    if (this.#maxInFlight <= limit / 2) return
    const allowedMs = TOLERANCE * this.#longMs
    const gradient = shortMs <= allowedMs ? 1 : Math.max(LOWEST_GRADIENT, allowedMs / shortMs)
    this.#exactLimit = this.#bound(limit + (limit * gradient + Math.sqrt(limit) - limit) * SMOOTHING)
  }

  #bound(limit: number): number {
    return Math.max(this.#config.minInFlight, Math.min(this.#config.maxInFlight, limit))
  }
}
