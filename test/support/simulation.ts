import type { Clock } from '../../src/base/clock.ts'

/** Time that jumps from one event to the next; promises settle in between. */
export class Simulation implements Clock {
  #nowMs = 1000
  #serial = 0
  readonly #events: { readonly atMs: number; readonly serial: number; readonly run: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  in(ms: number, run: () => void): void {
    const event = { atMs: this.#nowMs + ms, serial: this.#serial++, run }
    const { length } = this.#events
    let at = length
    while (at > 0 && isAfter(this.#events[at - 1]!, event)) at--
    this.#events.splice(at, 0, event)
  }

  async runFor(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#events[0]
      if (next === undefined || next.atMs > endMs) break
      this.#events.shift()
      this.#nowMs = next.atMs
      next.run()
      // As many as a chain of promises in the limiter is long, and then some.
      for (let turn = 0; turn < 12; turn++) await null
    }
    this.#nowMs = endMs
  }
}

const isAfter = (one: { atMs: number; serial: number }, other: { atMs: number; serial: number }): boolean =>
  one.atMs > other.atMs || (one.atMs === other.atMs && one.serial > other.serial)
