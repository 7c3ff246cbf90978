import t from 'tap'
import { RoundRobin } from '../../../src/upstream/balancers/round-robin.ts'
import { Random } from '../../support/random.ts'
import { candidatesOf, noKey } from './traffic.ts'

const make = (seed: number, ...weights: number[]) => {
  const random = new Random(seed)
  const candidates = candidatesOf(...weights)
  const balancer = new RoundRobin(candidates, { random: () => random.next(), nowMs: () => 0 })
  const next = (): number => {
    const chosen = balancer.pick(noKey, [])
    return candidates.findIndex(({ endpoint }) => endpoint === chosen)
  }
  return { candidates, balancer, take: (count: number) => Array.from({ length: count }, next) }
}

t.test('of equal endpoints each has its turn in every round', async t => {
  const order = make(1, 1, 1, 1, 1).take(40)
  for (let at = 0; at < 40; at += 4) t.strictSame(order.slice(at, at + 4).sort(), [0, 1, 2, 3])
})

t.test('workers do not move in step', async t => {
  const orders = Array.from({ length: 20 }, (_, seed) => make(seed, 1, 1, 1, 1).take(4).join())
  t.ok(new Set(orders).size > 8)
})

for (const weights of [[4, 1, 1], [5, 1, 2], [0.3, 1, 2.5], [1000, 1]]) {
  t.test(`spreads the turns of weights ${weights.join(', ')}: no stretch is off by two`, async t => {
    const total = weights.reduce((sum, weight) => sum + weight)
    const order = make(3, ...weights).take(3000)
    let worst = 0
    for (const [index, weight] of weights.entries()) {
      // How far the count is ahead of the share, from any start: the widest range of the running difference.
      let ahead = 0
      let [low, high] = [0, 0]
      for (const item of order) {
        ahead += (item === index ? 1 : 0) - weight / total
        low = Math.min(low, ahead)
        high = Math.max(high, ahead)
      }
      worst = Math.max(worst, high - low)
    }
    t.ok(worst < 2, String(worst))
  })
}

t.test('one that was passed over keeps its turn', async t => {
  const { candidates, balancer, take } = make(5, 1, 1, 1)
  const [first, second] = take(3)
  const tried = candidates[first!]!.endpoint
  t.equal(balancer.pick(noKey, [tried]), candidates[second!]!.endpoint)
  t.equal(take(1)[0], first)
})
