import fc from 'fast-check'
import t from 'tap'
import { RollingCounts } from '../../src/base/rolling-counts.ts'

/** A window of one second, so slots of 100 ms. */
for (const { desc, add, askMs, want } of [
  { desc: 'is empty at first', add: [], askMs: 5000, want: [0, 0] },
  { desc: 'counts successes and failures', add: [[5000, 0], [5000, 1], [5050, 1]], askMs: 5050, want: [3, 2] },
  { desc: 'keeps a slot until the window has passed', add: [[5000, 1], [5099, 0]], askMs: 5999, want: [2, 1] },
  { desc: 'forgets a slot when its begin is a window ago', add: [[5000, 1], [5099, 0]], askMs: 6000, want: [0, 0] },
  { desc: 'forgets slot by slot', add: [[5000, 1], [5100, 1], [5200, 0]], askMs: 6199, want: [1, 0] },
  { desc: 'forgets all after a pause', add: [[5000, 1], [5950, 1]], askMs: 6950, want: [0, 0] },
  { desc: 'forgets all after a long pause', add: [[5000, 1], [5950, 1]], askMs: 9e12, want: [0, 0] },
  { desc: 'counts on after a pause', add: [[5000, 1], [8000, 1], [8100, 0]], askMs: 8200, want: [2, 1] },
  { desc: 'takes a time before the newest for the newest', add: [[5500, 1], [5000, 1]], askMs: 6499, want: [2, 2] },
] as { desc: string; add: [number, number][]; askMs: number; want: number[] }[]) {
  t.test(desc, async t => {
    const counts = new RollingCounts(1000)
    for (const [nowMs, isFailure] of add) counts.add(isFailure === 1, nowMs)
    t.strictSame([counts.total(askMs), counts.failures(askMs)], want)
  })
}

t.test('reset forgets all, and counts on', async t => {
  const counts = new RollingCounts(1000)
  counts.add(true, 5000)
  counts.add(true, 5150)
  counts.reset()
  t.strictSame([counts.total(5150), counts.failures(5150)], [0, 0])
  counts.add(true, 5160)
  t.strictSame([counts.total(6099), counts.failures(6099)], [1, 1])
  t.strictSame([counts.total(6100), counts.failures(6100)], [0, 0])
})

t.test('covers at least nine tenths of the window and at most the whole', async t => {
  const events = fc.array(fc.tuple(fc.integer({ min: 0, max: 1500 }), fc.boolean()), { maxLength: 200, size: 'max' })
  fc.assert(fc.property(fc.integer({ min: 100, max: 5000 }), events, (windowMs, steps) => {
    const counts = new RollingCounts(windowMs)
    const seen: { atMs: number; isFailure: boolean }[] = []
    let nowMs = 1000
    for (const [pauseMs, isFailure] of steps) {
      nowMs += pauseMs
      counts.add(isFailure, nowMs)
      seen.push({ atMs: nowMs, isFailure })
      // A thousandth of a millisecond of slack: slots of a window like 101 ms are no whole numbers.
      const within = (ms: number) => seen.filter(({ atMs }) => atMs > nowMs - ms)
      const [least, most] = [within(windowMs * 0.9 - 0.001), within(windowMs + 0.001)]
      const [total, failures] = [counts.total(nowMs), counts.failures(nowMs)]
      if (total < least.length || total > most.length) return false
      if (failures < least.filter(event => event.isFailure).length) return false
      if (failures > most.filter(event => event.isFailure).length) return false
    }
    return true
  }), { seed: 20_240, numRuns: 300 })
  t.pass()
})
