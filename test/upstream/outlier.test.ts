import fc from 'fast-check'
import t from 'tap'
import { mayEject, type OutlierConfig, OutlierDetector } from '../../src/upstream/outlier.ts'

const config: OutlierConfig = {
  consecutiveFailures: 5, failureRatio: 0.5, windowMs: 10_000, minRequests: 20, ejectMs: 30_000, maxEjectedRatio: 0.5,
}

/** What `record` says to the last of these outcomes (F fails, S succeeds), `stepMs` apart. */
function lastOf(outcomes: string, changes: Partial<OutlierConfig> = {}, stepMs = 1): ReturnType<OutlierDetector['record']> {
  const detector = new OutlierDetector({ ...config, ...changes })
  let last = null
  let nowMs = 1000
  for (const outcome of outcomes) last = detector.record(outcome === 'F', nowMs += stepMs)
  return last
}

for (const { desc, outcomes, changes = {}, stepMs = 1, want } of [
  { desc: 'one failure is none', outcomes: 'F', want: null },
  { desc: 'four in a row are too few', outcomes: 'FFFF', want: null },
  { desc: 'five in a row are enough', outcomes: 'FFFFF', want: 'consecutive' },
  { desc: 'more say so again, where it could not be ejected', outcomes: 'FFFFFF', want: 'consecutive' },
  { desc: 'a success breaks the row', outcomes: 'FFFFSFFFF', want: null },
  { desc: 'a row may take any time', outcomes: 'FFFFF', stepMs: 60_000, want: 'consecutive' },
  { desc: 'one is a row of one', outcomes: 'F', changes: { consecutiveFailures: 1 }, want: 'consecutive' },
  { desc: 'rows are off by null', outcomes: 'F'.repeat(19), changes: { consecutiveFailures: null }, want: null },
  { desc: 'half of twenty is a ratio', outcomes: 'SF'.repeat(10), want: 'ratio' },
  { desc: 'half of eighteen is too little', outcomes: 'SF'.repeat(9), want: null },
  { desc: 'less than half is well', outcomes: 'SSF'.repeat(10), want: null },
  { desc: 'a success that makes them twenty ejects not', outcomes: 'FFFS'.repeat(5), want: null },
  { desc: 'the failure behind it does', outcomes: 'FFFS'.repeat(5) + 'F', want: 'ratio' },
  { desc: 'all that fail are a ratio of 1', outcomes: 'F'.repeat(20), changes: { failureRatio: 1, consecutiveFailures: null }, want: 'ratio' },
  { desc: 'three of thirty are a tenth, in floating point too', outcomes: 'S'.repeat(27) + 'FFF', changes: { failureRatio: 0.1 }, want: 'ratio' },
  { desc: 'what is older than the window does not count', outcomes: 'SF'.repeat(10), stepMs: 1000, want: null },
  { desc: 'ratios are off by null', outcomes: 'SF'.repeat(50), changes: { failureRatio: null }, want: null },
  { desc: 'a row is told before a ratio', outcomes: 'F'.repeat(20), want: 'consecutive' },
  { desc: 'both off never eject', outcomes: 'F'.repeat(50), changes: { failureRatio: null, consecutiveFailures: null }, want: null },
]) {
  t.test(desc, async t => t.equal(lastOf(outcomes, changes, stepMs), want))
}

t.test('was never out at first', async t => t.equal(new OutlierDetector(config).ejectedUntilMs, 0))

t.test('an ejection forgets what was counted', async t => {
  const detector = new OutlierDetector(config)
  for (let index = 0; index < 25; index++) detector.record(true, 1000)
  const untilMs = detector.eject(1000)
  t.equal(untilMs, 31_000)
  t.equal(detector.ejectedUntilMs, untilMs)
  for (let index = 0; index < 4; index++) t.equal(detector.record(true, untilMs), null)
  t.equal(detector.record(true, untilMs), 'consecutive')
})

t.test('failures that come while it is out are not held against it', async t => {
  const detector = new OutlierDetector(config)
  const untilMs = detector.eject(1000)
  for (let index = 0; index < 100; index++) t.equal(detector.record(true, untilMs - 1), null)
  t.equal(detector.record(true, untilMs), null)
})

/** Pauses are between the end of one ejection and the next one; lengths in times of ejectMs. */
for (const { desc, pauses, want } of [
  { desc: 'each time in a row is longer', pauses: [0, 0, 0], want: [1, 2, 3, 4] },
  { desc: 'but never more than ten times', pauses: Array<number>(12).fill(0), want: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10, 10] },
  { desc: 'a clean period shorter than the last ejection changes nothing', pauses: [0, 1.99], want: [1, 2, 3] },
  { desc: 'one as long takes one away', pauses: [0, 2], want: [1, 2, 2] },
  { desc: 'two as long take two away', pauses: [0, 4], want: [1, 2, 1] },
  { desc: 'many take all away, and no more', pauses: [0, 0, 1000, 0], want: [1, 2, 3, 1, 2] },
  { desc: 'from ten it comes down to nine', pauses: [...Array<number>(10).fill(0), 20], want: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 9] },
]) {
  t.test(desc, async t => {
    const detector = new OutlierDetector(config)
    let nowMs = 1000
    const got = [0, ...pauses].map(pause => {
      nowMs = Math.max(nowMs, detector.ejectedUntilMs) + pause * config.ejectMs
      return (detector.eject(nowMs) - nowMs) / config.ejectMs
    })
    t.strictSame(got, want)
  })
}

t.test('coming back does not make it forget how often it was ejected', async t => {
  const detector = new OutlierDetector(config)
  let nowMs = 1e7
  const got = [1, 2, 3].map(() => {
    const untilMs = detector.eject(nowMs)
    const times = (untilMs - nowMs) / config.ejectMs
    detector.reset()
    nowMs = untilMs + 100
    return times
  })
  t.strictSame(got, [1, 2, 3])
})

for (const { desc, total, ejected, ratio, want } of [
  { desc: 'the only one stays', total: 1, ejected: 0, ratio: 0.5, want: false },
  { desc: 'the only one may go where all may', total: 1, ejected: 0, ratio: 1, want: true },
  { desc: 'one of two may always go', total: 2, ejected: 0, ratio: 0, want: true },
  { desc: 'the other one stays', total: 2, ejected: 1, ratio: 0.5, want: false },
  { desc: 'the other one may go where all may', total: 2, ejected: 1, ratio: 1, want: true },
  { desc: 'two of four are a half', total: 4, ejected: 1, ratio: 0.5, want: true },
  { desc: 'three of four are more', total: 4, ejected: 2, ratio: 0.5, want: false },
  { desc: 'two of five are less', total: 5, ejected: 1, ratio: 0.5, want: true },
  { desc: 'three of five are more', total: 5, ejected: 2, ratio: 0.5, want: false },
  { desc: 'none besides the one by a ratio of 0', total: 100, ejected: 1, ratio: 0, want: false },
]) {
  t.test(`may eject: ${desc}`, async t => t.equal(mayEject(total, ejected, ratio), want))
}

t.test('never ejects by a success, and times stay within one and ten', async t => {
  const event = fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 20_000 }))
  fc.assert(fc.property(fc.array(event, { maxLength: 300, size: 'max' }), events => {
    const detector = new OutlierDetector({ ...config, consecutiveFailures: 3, minRequests: 4 })
    let nowMs = 1000
    for (const [isFailure, pauseMs] of events) {
      nowMs += pauseMs
      if (detector.record(isFailure, nowMs) === null) continue
      if (!isFailure || nowMs < detector.ejectedUntilMs) return false
      const times = (detector.eject(nowMs) - nowMs) / config.ejectMs
      if (!Number.isInteger(times) || times < 1 || times > 10) return false
    }
    return true
  }), { seed: 20_240, numRuns: 500 })
  t.pass()
})
