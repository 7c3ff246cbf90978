import { performance } from 'node:perf_hooks'
import type { Clock } from '../base/clock.ts'

const now = performance.now.bind(performance)

/**
 * The monotonic clock of the system, the same in all threads: `performance.now()` starts anew in each, and
 * `performance.timeOrigin` is wall time, which steps. Threads differ by less than the microsecond or so that it takes to read both.
 */
export const sharedClock: Clock = { nowMs: () => now() + OFFSET_MS }

const OFFSET_MS = offsetMs()

/** Of a few tries the one that was interrupted least. */
function offsetMs(): number {
  let shortest = Infinity
  let offset = 0
  for (let i = 0; i < 20; i++) {
    const before = now()
    const systemMs = Number(process.hrtime.bigint()) / 1e6
    const after = now()
    if (after - before >= shortest) continue
    shortest = after - before
    offset = systemMs - (before + after) / 2
  }
  return offset
}
