import t from 'tap'
import { PeakEwma } from '../../src/base/peak-ewma.ts'

function usual(latencyMs: number): PeakEwma {
  const latency = new PeakEwma()
  for (let i = 1; i <= 100; i++) latency.observe(latencyMs, i)
  return latency
}

t.test('unknown before the first observation and after a reset', async t => {
  const latency = new PeakEwma()
  t.equal(latency.value(1000), 0)
  latency.observe(5, 1000)
  latency.reset()
  t.equal(latency.value(1000), 0)
})

t.test('a rise counts at once, a fall little by little', async t => {
  const latency = usual(5)
  latency.observe(50, 101)
  t.equal(latency.value(101), 50)
  latency.observe(5, 102)
  t.ok(latency.value(102) > 49)
})

for (const { desc, isPenalty } of [{ desc: 'penalty', isPenalty: true }, { desc: 'spike', isPenalty: false }]) {
  t.test(`one ${desc} is over after two seconds without news, and the next observation does not bring it back`, async t => {
    const latency = usual(5)
    latency.observe(1000, 101, isPenalty)
    t.ok(latency.value(300) > 900)
    t.ok(latency.value(2101) < 6)
    latency.observe(5, 2101)
    t.ok(latency.value(2101) < 6)
  })
}

t.test('what is always slow stays so without news', async t => t.ok(usual(40).value(3000) > 29))
