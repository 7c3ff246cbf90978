import fc from 'fast-check'
import t from 'tap'
import { QuantileWindow } from '../../src/base/quantile-window.ts'

function windowOf(latenciesMs: readonly number[], nowMs = 1000): QuantileWindow {
  const window = new QuantileWindow()
  for (const latencyMs of latenciesMs) window.observe(latencyMs, nowMs)
  return window
}

const isNear = (gotMs: number | null, wantMs: number) => gotMs !== null && Math.abs(gotMs / wantMs - 1) <= 0.05

t.test('says nothing under 20 observations', async t => {
  const window = windowOf(Array<number>(19).fill(10))
  t.equal(window.quantile(95, 1000), null)
  window.observe(10, 1000)
  t.ok(isNear(window.quantile(95, 1000), 10))
})

for (const { desc, latenciesMs, percentile, wantMs } of [
  { desc: 'one slow of twenty is above the 95th', latenciesMs: [...Array<number>(19).fill(10), 900], percentile: 95, wantMs: 10 },
  { desc: 'two slow of twenty are not', latenciesMs: [...Array<number>(18).fill(10), 900, 900], percentile: 95, wantMs: 900 },
  { desc: 'the 100th is the slowest', latenciesMs: [...Array<number>(99).fill(10), 900], percentile: 100, wantMs: 900 },
  { desc: 'a median', latenciesMs: Array.from({ length: 101 }, (_, index) => 10 + index), percentile: 50, wantMs: 60 },
  { desc: 'the 7th of a hundred is the 7th', latenciesMs: [...Array<number>(7).fill(1), ...Array<number>(93).fill(50)], percentile: 7, wantMs: 1 },
  { desc: 'what is too small counts as the least', latenciesMs: Array<number>(20).fill(0.0001), percentile: 95, wantMs: 0.0525 },
  { desc: 'zero and what is no number too', latenciesMs: [...Array<number>(10).fill(0), ...Array<number>(5).fill(-1), ...Array<number>(5).fill(NaN)], percentile: 100, wantMs: 0.0525 },
  { desc: 'what is too large counts as the most', latenciesMs: [...Array<number>(10).fill(5e9), ...Array<number>(10).fill(Infinity)], percentile: 95, wantMs: 101_000 },
]) {
  t.test(desc, async t => {
    const got = windowOf(latenciesMs).quantile(percentile, 1000)
    t.ok(isNear(got, wantMs), `${got} is ${wantMs}`)
  })
}

t.test('is within five per cent of the nearest rank', async t => {
  const latency = fc.double({ min: 0.05, max: 100_000, noNaN: true })
  const inBounds = fc.array(latency, { minLength: 20, maxLength: 300, size: 'max' })
  fc.assert(fc.property(inBounds, fc.integer({ min: 1, max: 100 }), (latenciesMs, percentile) => {
    const sorted = [...latenciesMs].sort((one, other) => one - other)
    const wantMs = sorted[Math.ceil(percentile * sorted.length / 100) - 1]!
    return isNear(windowOf(latenciesMs).quantile(percentile, 1000), wantMs)
  }), { seed: 20_240, numRuns: 2000 })
  t.pass()
})

t.test('keeps an observation for 30 to 60 seconds', async t => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 200_000 }), fc.array(fc.integer({ min: 0, max: 29_999 }), { maxLength: 8, size: 'max' }), (startMs, pausesMs) => {
    const window = new QuantileWindow()
    window.observe(1, startMs)
    let nowMs = startMs
    // Something turns up now and then, so that generations rotate as in service.
    for (const pauseMs of pausesMs) window.observe(1, nowMs += pauseMs)
    for (let index = 0; index < 20; index++) window.observe(500, nowMs)
    const kept = isNear(window.quantile(100, nowMs + 29_999), 500)
    return kept && window.quantile(100, nowMs + 60_000) === null
  }), { seed: 20_240, numRuns: 2000 })
  t.pass()
})

t.test('forgets one generation at a time', async t => {
  const window = windowOf(Array<number>(20).fill(500), 60_000)
  for (let index = 0; index < 20; index++) window.observe(5, 90_000)
  t.ok(isNear(window.quantile(75, 119_999), 500))
  t.ok(isNear(window.quantile(75, 120_000), 5))
  t.equal(window.quantile(75, 150_000), null)
})
