const SLOTS = 10

/**
 * Successes and failures of the last `windowMs`, in ten slots: the slot that is being filled and the nine before it, so
 * an answer covers between nine tenths and the whole of the window, never more. A time before the newest one counts as
 * the newest.
 */
export class RollingCounts {
  readonly #slotMs: number
  readonly #slotTotals = new Uint32Array(SLOTS)
  readonly #slotFailures = new Uint32Array(SLOTS)
  #slot = 0
  #slotEndMs = 0
  // Kept beside the slots, so that asking costs no sum.
  #total = 0
  #failures = 0

  /** `windowMs`: more than 0. */
  constructor(windowMs: number) {
    this.#slotMs = windowMs / SLOTS
  }

  add(isFailure: boolean, nowMs: number): void {
    if (nowMs >= this.#slotEndMs) this.#advance(nowMs)
    this.#slotTotals[this.#slot]!++
    this.#total++
    if (!isFailure) return
    this.#slotFailures[this.#slot]!++
    this.#failures++
  }

  total(nowMs: number): number {
    if (nowMs >= this.#slotEndMs) this.#advance(nowMs)
    return this.#total
  }

  failures(nowMs: number): number {
    if (nowMs >= this.#slotEndMs) this.#advance(nowMs)
    return this.#failures
  }

  reset(): void {
    this.#slotTotals.fill(0)
    this.#slotFailures.fill(0)
    this.#total = 0
    this.#failures = 0
  }

  #advance(nowMs: number): void {
    const steps = Math.floor((nowMs - this.#slotEndMs) / this.#slotMs) + 1
    this.#slotEndMs += steps * this.#slotMs
    if (steps >= SLOTS) {
      this.reset()
      return
    }
    for (let step = 0; step < steps; step++) {
      const slot = (this.#slot + 1) % SLOTS
      this.#total -= this.#slotTotals[slot]!
      this.#failures -= this.#slotFailures[slot]!
      this.#slotTotals[slot] = 0
      this.#slotFailures[slot] = 0
      this.#slot = slot
    }
  }
}
