import t from 'tap'
import type { BalanceConfig } from '../../../src/upstream/balancer.ts'
import { createBalancer } from '../../../src/upstream/balancers/create-balancer.ts'
import { Random } from '../../support/random.ts'
import { candidatesOf, noKey, requestWith, STICKY, Traffic } from './traffic.ts'

// One suite for every balancer. `lowest`: fewest requests under way with which it keeps the weights.
for (const { name, balance, lowest } of [
  { name: 'round-robin', balance: 'round-robin', lowest: 1 },
  { name: 'least-requests', balance: 'least-requests', lowest: 32 },
  { name: 'peak-ewma', balance: 'peak-ewma', lowest: 1 },
  { name: 'hash', balance: { hash: 'ip' }, lowest: 1 },
  { name: 'hash without a value', balance: { hash: 'header:x-absent' }, lowest: 1 },
  { name: 'sticky for new clients', balance: STICKY, lowest: 1 },
] satisfies { name: string; balance: BalanceConfig; lowest: number }[]) {
  for (const count of [1, 2, 3, 20, 100]) {
    t.test(`${name}: of ${count} endpoints, never one that was tried while there is another`, async t => {
      const random = new Random(count)
      const candidates = candidatesOf(...Array.from({ length: count }, () => 0.1 + random.below(50)))
      const all = candidates.map(({ endpoint }) => endpoint)
      const balancer = createBalancer(balance, candidates, { random: () => random.next(), nowMs: () => 0 })
      let wrong = 0
      for (let i = 0; i < 3000; i++) {
        for (const endpoint of all) if (random.chance(0.2)) endpoint.inFlight = random.below(6)
        const tried = random.chance(0.3) ? all.filter(() => random.chance(0.5)) : all.filter(() => random.chance(1.5 / count)).slice(0, 2)
        const endpoint = balancer.pick(requestWith({ ip: `10.1.1.${i}` }), tried)
        if (!all.includes(endpoint) || (tried.length < count && tried.includes(endpoint))) wrong++
      }
      t.equal(wrong, 0)
      t.ok(all.includes(balancer.pick(noKey, all)), 'when all were tried, any')
      for (const last of all) {
        if (balancer.pick(noKey, all.filter(endpoint => endpoint !== last)) !== last) wrong++
      }
      t.equal(wrong, 0, 'the only one left is taken, however small its weight')
    })
  }

  for (const { weights, concurrency, slack = 0.1 } of [
    { weights: [1, 1], concurrency: 1 },
    { weights: [1, 1], concurrency: 64 },
    { weights: [5, 1, 2], concurrency: 1 },
    { weights: [5, 1, 2], concurrency: 64, slack: 0.15 },
    { weights: [0.25, 1, 1], concurrency: 1 },
    { weights: [0.25, 1, 1], concurrency: 64, slack: 0.15 },
    { weights: [1, 100], concurrency: 400, slack: 0.35 },
    { weights: [100, 1, 1, 1, 1], concurrency: 400, slack: 0.35 },
    { weights: [0, 1, 1], concurrency: 64 },
  ]) {
    if (concurrency < lowest) continue
    t.test(`${name}: weights ${weights.join(', ')} with ${concurrency} requests under way`, async t => {
      const traffic = new Traffic(balance, candidatesOf(...weights))
      const shares = traffic.run(concurrency, 20_000)
      const total = weights.reduce((sum, weight) => sum + weight)
      for (const [i, share] of shares.entries()) {
        const want = weights[i]! / total
        t.ok(Math.abs(share - want) <= slack * want + 0.002, `endpoint ${i}: ${share}, by weight ${want}`)
      }
    })
  }

  for (const { count, concurrency } of [{ count: 10, concurrency: 50 }, { count: 100, concurrency: 200 }]) {
    t.test(`${name}: ${count} equal endpoints share the load evenly`, async t => {
      const traffic = new Traffic(balance, candidatesOf(...Array.from({ length: count }, () => 1)))
      const shares = traffic.run(concurrency, 400 * count)
      t.ok(Math.max(...shares) * count < 1.2, `the busiest has ${Math.max(...shares) * count} times the mean`)
      t.ok(Math.min(...shares) * count > 0.8, `the idlest has ${Math.min(...shares) * count} times the mean`)
    })
  }
}
