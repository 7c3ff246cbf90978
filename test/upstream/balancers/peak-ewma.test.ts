import t from 'tap'
import { PeakEwmaBalancer } from '../../../src/upstream/balancers/peak-ewma.ts'
import { candidatesOf, noKey, Traffic } from './traffic.ts'

for (const concurrency of [1, 8, 64, 256]) {
  t.test(`an endpoint that is twenty times slower gets little, ${concurrency} requests under way`, async t => {
    const traffic = new Traffic('peak-ewma', candidatesOf(1, 1))
    traffic.latencyMsOf = index => (index === 1 ? 100 : 5)
    const [, slow] = traffic.run(concurrency, 20_000)
    t.ok(slow! < 0.1, String(slow))
  })
}

t.test('two endpoints: both are compared every time', async t => {
  const traffic = new Traffic('peak-ewma', candidatesOf(1, 100))
  traffic.latencyMsOf = index => (index === 1 ? 1000 : 1)
  traffic.run(1, 20)
  const [light] = traffic.run(1, 1000)
  t.ok(light! > 0.99, 'even the heavy one, drawn nearly always, loses to a far faster one')
})

t.test('an endpoint that fails fast draws no traffic, and is tried again when that has been forgotten', async t => {
  const traffic = new Traffic('peak-ewma', candidatesOf(1, 1, 1))
  traffic.latencyMsOf = index => (index === 0 ? 1 : 5)
  traffic.observedMsOf = (index, latencyMs) => (index === 0 ? 5000 : latencyMs)
  traffic.run(16, 500)
  const [failing] = traffic.run(16, 5000)
  t.ok(failing! < 0.005, String(failing))

  traffic.finishAll()
  traffic.observedMsOf = (_index, latencyMs) => latencyMs
  traffic.clock.advance(60_000)
  const [recovered] = traffic.run(16, 20_000)
  t.ok(recovered! > 0.25, String(recovered))
})

t.test('an endpoint never used is tried at once, but not by everything that comes until it answers', async t => {
  for (const known of [1, 100]) {
    const candidates = candidatesOf(1, 1)
    const traffic = new Traffic('peak-ewma', candidates)
    candidates[0]!.endpoint.latency.observe(known, traffic.clock.nowMs())
    // No answer comes while these are sent.
    traffic.latencyMsOf = () => 60_000
    const [, unknown] = traffic.run(1000, 300)
    t.ok(unknown! > 0.5 && unknown! < 0.75, `${unknown} beside one of ${known} ms`)
  }
})

t.test('one candidate takes neither time nor chance', async t => {
  const never = (): number => { throw new Error('asked') }
  const candidates = candidatesOf(1)
  const balancer = new PeakEwmaBalancer(candidates, { random: never, nowMs: never })
  t.equal(balancer.pick(noKey, []), candidates[0]!.endpoint)
  t.equal(balancer.pick(noKey, [candidates[0]!.endpoint]), candidates[0]!.endpoint)
})

t.test('slow start: the share follows a weight that grows', async t => {
  for (const weight of [0.1, 0.4, 0.9]) {
    const [starting] = new Traffic('peak-ewma', candidatesOf(weight, 1, 1, 1)).run(32, 20_000)
    const want = weight / (3 + weight)
    t.ok(Math.abs(starting! - want) < 0.25 * want, `${starting} for ${want}`)
  }
})
