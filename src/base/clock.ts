import { performance } from 'node:perf_hooks'

/** Where time comes from; tests bring their own. */
export interface Clock {
  /** Milliseconds since some fixed point; never runs backwards. */
  nowMs(): number
}

// The global `performance` is a getter that looks its module up at every use.
const now = performance.now.bind(performance)

export const monotonicClock: Clock = { nowMs: now }

/** Milliseconds with fractions; for durations. */
export const nowMs: () => number = now
