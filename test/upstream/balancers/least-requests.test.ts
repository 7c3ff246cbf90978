import t from 'tap'
import { LeastRequests } from '../../../src/upstream/balancers/least-requests.ts'
import { Random } from '../../support/random.ts'
import { candidatesOf, noKey } from './traffic.ts'

for (const weights of [[1, 1, 1], [1, 2, 0.5], Array.from({ length: 64 }, (_, i) => 1 + i % 3)]) {
  t.test(`sends to the endpoint that is behind the least: ${weights.length} endpoints, weights ${weights.slice(0, 3).join(', ')}`, async t => {
    const random = new Random(7)
    const candidates = candidatesOf(...weights)
    const balancer = new LeastRequests(candidates, { random: () => random.next(), nowMs: () => 0 })
    let worse = 0
    for (let i = 0; i < 2000; i++) {
      for (const { endpoint } of candidates) endpoint.inFlight = random.below(5)
      const picked = balancer.pick(noKey, [])
      const { weight } = candidates.find(({ endpoint }) => endpoint === picked)!
      const load = (picked.inFlight + 1) / weight
      if (candidates.some(({ endpoint, weight }) => (endpoint.inFlight + 1) / weight < load - 1e-9)) worse++
    }
    t.equal(worse, 0)
  })
}

t.test('equals take turns, from another one in each worker', async t => {
  const firsts = new Set<string>()
  for (let seed = 0; seed < 30; seed++) {
    const random = new Random(seed)
    const candidates = candidatesOf(1, 1, 1)
    const balancer = new LeastRequests(candidates, { random: () => random.next(), nowMs: () => 0 })
    const urls = Array.from({ length: 6 }, () => balancer.pick(noKey, []).address.url)
    t.equal(new Set(urls.slice(0, 3)).size, 3)
    t.strictSame(urls.slice(3), urls.slice(0, 3))
    firsts.add(urls[0]!)
  }
  t.equal(firsts.size, 3)
})

t.test('among many, a full endpoint is avoided', async t => {
  const random = new Random(3)
  const candidates = candidatesOf(...Array.from({ length: 200 }, () => 1))
  for (const { endpoint } of candidates.slice(0, 50)) endpoint.inFlight = 100
  const balancer = new LeastRequests(candidates, { random: () => random.next(), nowMs: () => 0 })
  let full = 0
  for (let i = 0; i < 4000; i++) if (balancer.pick(noKey, []).inFlight > 0) full++
  // Both of two at random are full in a sixteenth of the draws; a single draw would meet a quarter.
  t.ok(full / 4000 < 0.09, String(full / 4000))
})
