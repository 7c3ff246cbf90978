import fc from 'fast-check'
import t from 'tap'
import type { LimitSettings } from '../../src/limits/limit-settings.ts'
import { LimitTable } from '../../src/limits/limit-table.ts'
import { EmbeddedLimiter } from '../../src/limits/limiter.ts'
import { type Admission, highestLevel } from '../support/leaky-bucket.ts'
import { ManualClock } from '../support/manual-clock.ts'

const limitOf = (settings: Partial<LimitSettings>): LimitSettings => ({
  version: 'v', requestsPerSecond: 1, burstRequests: 2, cost: 1, onStoreFailure: 'deny', maxNodes: 1, isShadow: false, ...settings,
})

function limiterOf(...limits: Partial<LimitSettings>[]) {
  const clock = new ManualClock()
  const table = new LimitTable(LimitTable.allocate(64, clock), clock)
  const shadowDenials: number[] = []
  const all = limits.map((limit, index) => limitOf({ version: `${index}`, ...limit }))
  const limiter = new EmbeddedLimiter(table, all, index => shadowDenials.push(index))
  return { clock, table, limiter, shadowDenials, take: (...keys: string[]) => limiter.take(keys).outcome }
}

t.test('a request that one limit denies is charged to none', async t => {
  const { take, limiter } = limiterOf({ burstRequests: 4 }, { burstRequests: 1 })
  t.equal(take('a', 'b'), 'admitted')
  for (let i = 0; i < 10; i++) t.equal(take('a', 'b'), 'denied')
  t.strictSame(limiter.take(['a', 'b']).remaining, [3, 0])
  t.equal(take('a', 'c'), 'admitted')
  t.equal(take('a', 'd'), 'admitted')
  t.equal(take('a', 'e'), 'admitted')
  t.equal(take('a', 'f'), 'denied', 'the other way round too')
  t.equal(limiter.take(['b', 'f']).outcome, 'admitted', 'and nothing was taken of the second')
})

t.test('the longest wait is told, and is enough', async t => {
  const { clock, take, limiter } = limiterOf({ requestsPerSecond: 1, burstRequests: 1 }, { requestsPerSecond: 0.1, burstRequests: 1 }, { requestsPerSecond: 0.5, burstRequests: 5 })
  t.equal(take('a', 'a', 'a'), 'admitted')
  const decision = limiter.take(['a', 'a', 'a'])
  t.equal(decision.outcome, 'denied')
  t.ok(Math.abs(decision.retryAfterMs - 10_000) < 1)
  t.equal(decision.deniedBy, 1)
  clock.advance(decision.retryAfterMs - 1)
  t.equal(take('a', 'a', 'a'), 'denied')
  clock.advance(1.001)
  t.equal(take('a', 'a', 'a'), 'admitted')
})

t.test('a shadow limit counts what it would have denied, and is not charged for what others deny', async t => {
  const { take, shadowDenials } = limiterOf({ burstRequests: 4 }, { burstRequests: 2, isShadow: true })
  for (let i = 0; i < 4; i++) t.equal(take('a', 'a'), 'admitted')
  t.strictSame(shadowDenials, [1, 1])
  for (let i = 0; i < 4; i++) t.equal(take('a', 'b'), 'denied')
  take('c', 'b')
  take('c', 'b')
  t.equal(shadowDenials.length, 2)
})

t.test('each limit keeps its promise, whatever the others deny', async t => {
  const settings = fc.record({ requestsPerSecond: fc.double({ min: 0.1, max: 100, noNaN: true }), burstRequests: fc.integer({ min: 1, max: 30 }), cost: fc.integer({ min: 1, max: 4 }) })
  const request = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 3, maxLength: 3 }))
  fc.assert(fc.property(fc.array(settings, { minLength: 3, maxLength: 3 }), fc.array(request, { minLength: 20, maxLength: 200, size: 'max' }), (all, requests) => {
    const limits = all.map(each => ({ ...each, cost: Math.min(each.cost, each.burstRequests) }))
    const { clock, table, take } = limiterOf(...limits)
    const admissions = new Map<string, Admission[]>()
    for (const [part, keys] of requests) {
      clock.advance(part ** 4 * 3000)
      if (take(...keys.map(String)) !== 'admitted') continue
      keys.forEach((key, index) => {
        const name = `${index}/${key}`
        admissions.set(name, [...admissions.get(name) ?? [], { atMs: table.nowMs(), tokens: limits[index]!.cost }])
      })
    }
    return [...admissions].every(([name, list]) => {
      const { requestsPerSecond, burstRequests } = limits[Number(name[0])]!
      return highestLevel(list, requestsPerSecond) <= burstRequests + 1e-6
    })
  }), { seed: 20_241_127, numRuns: 200 })
  t.pass()
})
