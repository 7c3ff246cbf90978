import fc from 'fast-check'
import t from 'tap'
import { Split } from '../../src/gateway/split.ts'
import { Random } from '../support/random.ts'

const NEVER = (): number => { throw new Error('nothing is random about a request with a value') }
const VALUES = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)

const splitOf = (weights: readonly number[], seedText = 'route'): Split<number> =>
  new Split(weights.map((weight, target) => ({ target, weight })), seedText)
const sharesOf = (picks: readonly number[], parts: number): number[] =>
  Array.from({ length: parts }, (_, part) => picks.filter(pick => pick === part).length / picks.length)

for (const weights of [[1, 1], [99, 1], [1, 99], [5, 3, 2], [1, 1, 1], [0, 1, 3], [1, 0], [0.5, 0.25, 0.25], [1_000_000, 1_000_000]]) {
  const total = weights.reduce((sum, weight) => sum + weight)
  t.test(`weights ${weights.join(', ')} are the shares`, async t => {
    const random = new Random(1)
    const split = splitOf(weights)
    const byValue = sharesOf(VALUES.map(value => split.pick(value, NEVER)), weights.length)
    const byChance = sharesOf(VALUES.map(() => split.pick(undefined, () => random.next())), weights.length)
    weights.forEach((weight, part) => {
      t.ok(Math.abs(byValue[part]! - weight / total) < 0.012, `by value: ${byValue[part]}`)
      t.ok(Math.abs(byChance[part]! - weight / total) < 0.012, `by chance: ${byChance[part]}`)
      if (weight === 0) t.strictSame([byValue[part], byChance[part]], [0, 0], 'a weight of 0 gets nothing')
    })
  })
}

t.test('a random number at either end is a part with a weight', async t => {
  const split = splitOf([0, 1, 1, 0])
  t.equal(split.pick(undefined, () => 0), 1)
  t.equal(split.pick(undefined, () => 1 - 2 ** -53), 2)
})

t.test('a value goes to one part, whoever asks', async () => {
  fc.assert(fc.property(fc.string(), fc.array(fc.nat(100), { minLength: 1, maxLength: 4 }), (value, weights) => {
    weights[0]!++
    return splitOf(weights).pick(value, NEVER) === splitOf(weights).pick(value, NEVER)
  }), { seed: 1 })
})

t.test('a ramp never takes a value back', async t => {
  const before = new Map<string, number>()
  for (const percent of [0, 1, 5, 50, 100]) {
    const split = splitOf([100 - percent, percent])
    let moved = 0
    for (const value of VALUES) {
      const part = split.pick(value, NEVER)
      if (before.get(value) === 1 && part === 0) t.fail(`${value} went back at ${percent}`)
      before.set(value, part)
      moved += part
    }
    t.ok(Math.abs(moved / VALUES.length - percent / 100) < 0.012, `${moved} at ${percent} %`)
  }
})

t.test('as a weight grows, values move to its part and nowhere else; as it shrinks, only its own move', async () => {
  const weights = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 2, maxLength: 5 })
  fc.assert(fc.property(weights, fc.nat(), fc.double({ min: 0, max: 1000, noNaN: true }), fc.string(), fc.string(), (small, index, more, value, seed) => {
    const part = index % small.length
    small[(part + 1) % small.length]! += 1
    const large = small.with(part, small[part]! + more)
    const before = splitOf(small, seed).pick(value, NEVER)
    const after = splitOf(large, seed).pick(value, NEVER)
    return after === before || after === part
  }), { seed: 2, numRuns: 2000 })
})

t.test('the splits of two routes are independent', async t => {
  const one = splitOf([1, 1], 'one')
  const other = splitOf([1, 1], 'other')
  const same = VALUES.filter(value => one.pick(value, NEVER) === other.pick(value, NEVER)).length
  t.ok(Math.abs(same / VALUES.length - 0.5) < 0.02)
})

t.test('a split in which no part has a weight is refused', async t => {
  t.throws(() => splitOf([0, 0]), { message: 'split of \'route\': no part has a weight; give one a weight above 0' })
})
