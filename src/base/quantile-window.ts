const MIN_MS = 0.05
const MAX_MS = 100_000
/** A bucket is a tenth wider than the one before it, so its geometric middle is at most 4.9 % off. */
const GROWTH = 1.1
const BUCKETS_PER_OCTAVE = 1 / Math.log2(GROWTH)
const BUCKETS = Math.ceil(Math.log2(MAX_MS / MIN_MS) * BUCKETS_PER_OCTAVE)
const GENERATION_MS = 30_000
const MIN_OBSERVATIONS = 20

/**
 * Percentiles of the latencies of the last 30 to 60 seconds, within 5 %, from 0.05 ms to 100 s; what lies outside
 * counts as the nearer end. A histogram with logarithmic buckets in two generations: the older one is forgotten whole.
 */
export class QuantileWindow {
  #current = new Uint32Array(BUCKETS)
  #previous = new Uint32Array(BUCKETS)
  #currentCount = 0
  #previousCount = 0
  #rotateAtMs = 0

  observe(latencyMs: number, nowMs: number): void {
    if (nowMs >= this.#rotateAtMs) this.#rotate(nowMs)
    this.#current[bucketOf(latencyMs)]!++
    this.#currentCount++
  }

  /** `percentile`: above 0, to 100. Null while there are fewer than 20 observations. Costs a walk over the buckets. */
  quantile(percentile: number, nowMs: number): number | null {
    if (nowMs >= this.#rotateAtMs) this.#rotate(nowMs)
    const count = this.#currentCount + this.#previousCount
    if (count < MIN_OBSERVATIONS) return null
    // Nearest rank. Multiplied first: 0.07 × 100 is 7.000000000000001, and would be rank 8.
    let left = Math.ceil(percentile * count / 100)
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      left -= this.#current[bucket]! + this.#previous[bucket]!
      if (left <= 0) return MIN_MS * GROWTH ** (bucket + 0.5)
    }
    return MAX_MS
  }

  #rotate(nowMs: number): void {
    const isPreviousStale = nowMs >= this.#rotateAtMs + GENERATION_MS
    const emptied = this.#previous
    emptied.fill(0)
    this.#previous = this.#current
    this.#previousCount = this.#currentCount
    this.#current = emptied
    this.#currentCount = 0
    if (isPreviousStale) {
      this.#previous.fill(0)
      this.#previousCount = 0
      // Begins anew after a pause: what is observed now is kept for a whole generation.
      this.#rotateAtMs = nowMs + GENERATION_MS
    } else {
      this.#rotateAtMs += GENERATION_MS
    }
  }
}

function bucketOf(latencyMs: number): number {
  // Turned round, so that NaN goes here as well.
  if (!(latencyMs > MIN_MS)) return 0
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(latencyMs / MIN_MS) * BUCKETS_PER_OCTAVE))
}
