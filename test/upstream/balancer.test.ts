import t from 'tap'
import { type BalancerName, createBalancer } from '../../src/upstream/balancer.ts'
import { Endpoint, parseEndpoint } from '../../src/upstream/endpoint.ts'
import type { Pool } from '../../src/upstream/pool.ts'
import { Random } from '../support/random.ts'

const endpoints = (...weights: number[]): Endpoint[] =>
  weights.map((weight, i) => new Endpoint(parseEndpoint({ url: `http://10.0.0.${i + 1}:80`, weight }), () => null as unknown as Pool))

// One suite for every balancer.
for (const name of ['round-robin', 'least-requests'] satisfies BalancerName[]) {
  t.test(`${name}: shares by weight when all answer alike`, async t => {
    const all = endpoints(5, 1, 2)
    const balancer = createBalancer(name, all, 0.4)
    const counts = new Map(all.map(endpoint => [endpoint, 0]))
    const open: Endpoint[] = []
    for (let i = 0; i < 8000; i++) {
      const endpoint = balancer.pick()
      counts.set(endpoint, counts.get(endpoint)! + 1)
      endpoint.inFlight++
      open.push(endpoint)
      if (open.length > 64) open.shift()!.inFlight--
    }
    const shares = all.map(endpoint => counts.get(endpoint)! / 1000)
    for (const [i, want] of [5, 1, 2].entries()) t.ok(Math.abs(shares[i]! - want) < 0.15, `endpoint ${i}: ${shares[i]}`)
  })

  t.test(`${name}: one endpoint is always chosen`, async t => {
    const [only] = endpoints(3)
    const balancer = createBalancer(name, [only!], 0.99)
    for (let i = 0; i < 10; i++) t.equal(balancer.pick(), only)
  })
}

t.test('round-robin spreads the turns of a heavy endpoint', async t => {
  const all = endpoints(4, 1, 1)
  const balancer = createBalancer('round-robin', all, 0)
  const order = Array.from({ length: 6 }, () => all.indexOf(balancer.pick()))
  t.strictSame(order, [0, 0, 1, 0, 2, 0])
})

t.test('least-requests sends to the endpoint that is behind the least', async t => {
  const all = endpoints(1, 1, 1)
  const balancer = createBalancer('least-requests', all, 0)
  const random = new Random(7)
  for (let i = 0; i < 2000; i++) {
    for (const endpoint of all) endpoint.inFlight = random.below(5)
    const least = Math.min(...all.map(endpoint => endpoint.inFlight))
    t.equal(balancer.pick().inFlight, least)
  }
})

for (const { url, want } of [
  { url: 'http://a.example', want: { isTls: false, host: 'a.example', port: 80 } },
  { url: 'https://a.example', want: { isTls: true, host: 'a.example', port: 443 } },
  { url: 'http://[::1]:3000', want: { isTls: false, host: '::1', port: 3000 } },
]) {
  t.test(`endpoint ${url}`, async t => {
    t.match(parseEndpoint(url), { ...want, weight: 1 })
  })
}
