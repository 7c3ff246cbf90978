import type { Clock } from '../../src/base/clock.ts'

/** Time that passes when a test says so. */
export class ManualClock implements Clock {
  #nowMs = 1000

  nowMs(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
  }
}
