/** What nobody has measured again for so long is old news. */
const STALE_AFTER_MS = 500
const STALE_DECAY_MS = 200
/** Share of one observation in what is usual. */
const USUAL_SHARE = 1 / 8

/**
 * A latency that forgets: it takes a rise at once and comes down little by little, and without news it decays, so that
 * one bad minute is not held against an endpoint for ever. What is above the usual goes in two seconds without news: else
 * one bad answer would cost an endpoint its traffic for a minute. Source: Finagle's peak EWMA.
 */
export class PeakEwma {
  readonly #decayMs: number
  #value = 0
  #atMs = 0
  /** Mean of what was measured, hardly moved by a single one. */
  #usual = 0

  /** `decayMs`: after it a value has fallen to 37 %. */
  constructor(decayMs = 10_000) {
    this.#decayMs = decayMs
  }

  /** In milliseconds; 0 before the first observation. */
  value(nowMs: number): number {
    const sinceMs = nowMs - this.#atMs
    if (sinceMs <= 0 || this.#value === 0) return this.#value
    return (sinceMs > STALE_AFTER_MS ? this.#staleValue(sinceMs) : this.#value) * Math.exp(-sinceMs / this.#decayMs)
  }

  /** `isPenalty`: it was not measured, and says nothing of what is usual. */
  observe(latencyMs: number, nowMs: number, isPenalty = false): void {
    const before = nowMs - this.#atMs > STALE_AFTER_MS ? this.#staleValue(nowMs - this.#atMs) : this.#value
    const share = Math.exp(Math.min(0, this.#atMs - nowMs) / this.#decayMs)
    this.#atMs = nowMs
    this.#value = latencyMs > before ? latencyMs : before * share + latencyMs * (1 - share)
    if (!isPenalty) this.#usual = this.#usual === 0 ? latencyMs : this.#usual + (Math.min(latencyMs, 2 * this.#usual) - this.#usual) * USUAL_SHARE
  }

  /** Nothing is known any more. */
  reset(): void {
    this.#value = this.#usual = 0
  }

  #staleValue(sinceMs: number): number {
    const usual = Math.min(this.#usual, this.#value)
    return usual + (this.#value - usual) * Math.exp((STALE_AFTER_MS - sinceMs) / STALE_DECAY_MS)
  }
}
