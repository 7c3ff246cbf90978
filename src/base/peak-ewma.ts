/**
 * A latency that forgets: it takes a rise at once and comes down little by little, and without news it decays, so that
 * one bad minute is not held against an endpoint for ever. Source: Finagle's peak EWMA.
 */
export class PeakEwma {
  readonly #decayMs: number
  #value = 0
  #atMs = 0

  /** `decayMs`: after it a value has fallen to 37 %. */
  constructor(decayMs = 10_000) {
    this.#decayMs = decayMs
  }

  /** In milliseconds; 0 before the first observation. */
  value(nowMs: number): number {
    return nowMs <= this.#atMs || this.#value === 0 ? this.#value : this.#value * Math.exp((this.#atMs - nowMs) / this.#decayMs)
  }

  observe(latencyMs: number, nowMs: number): void {
    const before = this.#value
    const share = Math.exp(Math.min(0, this.#atMs - nowMs) / this.#decayMs)
    this.#atMs = nowMs
    this.#value = latencyMs > before ? latencyMs : before * share + latencyMs * (1 - share)
  }

  /** Nothing is known any more. */
  reset(): void {
    this.#value = 0
  }
}
