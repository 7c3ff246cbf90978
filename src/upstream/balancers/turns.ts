/**
 * Gives turns by weight, those of a heavy index spread out evenly: each is due again after 1 / weight, and the one that
 * is due first is next (earliest deadline first, as Envoy's scheduler). Unlike an order made beforehand it takes weights
 * that are fractions, and its size does not depend on them. O(log n) a turn, without allocation.
 */
export class Turns {
  readonly #strides: Float64Array
  readonly #dueAt: Float64Array
  /** Binary heap of indexes, the one that is due first on top. */
  readonly #heap: Uint32Array

  /** `phaseOf`: which part of its stride an index waits for its first turn; 0 to 1. */
  constructor(weights: Float64Array, phaseOf: (index: number) => number) {
    const mean = weights.reduce((sum, weight) => sum + weight) / weights.length
    // By the mean, so that time grows by one a round: its precision lasts longer than any process.
    this.#strides = weights.map(weight => mean / weight)
    this.#dueAt = this.#strides.map((stride, index) => stride * phaseOf(index))
    this.#heap = Uint32Array.from(weights.keys())
    for (let at = (weights.length >>> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  next(): number {
    return this.#take(0)
  }

  /** Passes over those that are not accepted, which stay due; -1 when none is. O(n). */
  nextWhere(accepts: (index: number) => boolean): number {
    let best = -1
    for (let at = 0; at < this.#heap.length; at++) {
      const index = this.#heap[at]!
      if (accepts(index) && (best === -1 || this.#isBefore(index, this.#heap[best]!))) best = at
    }
    return best === -1 ? -1 : this.#take(best)
  }

  #take(at: number): number {
    const index = this.#heap[at]!
    this.#dueAt[index]! += this.#strides[index]!
    this.#sink(at)
    return index
  }

  #sink(from: number): void {
    const heap = this.#heap
    const index = heap[from]!
    let at = from
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && this.#isBefore(heap[child + 1]!, heap[child]!)) child++
      if (!this.#isBefore(heap[child]!, index)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = index
  }

  #isBefore(index: number, other: number): boolean {
    const difference = this.#dueAt[index]! - this.#dueAt[other]!
    return difference < 0 || (difference === 0 && index < other)
  }
}
