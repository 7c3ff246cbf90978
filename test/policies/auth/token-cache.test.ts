import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import { RecentMap } from '../../../src/policies/auth/recent-map.ts'
import { type Looked, TokenCache } from '../../../src/policies/auth/token-cache.ts'
import { Random } from '../../support/random.ts'

const BOUNDS = { maxEntries: 100, maxChars: 10_000, maxRefusals: 50, maxPending: 8, maxWaiters: 20 }
const now = (): number => 1000
const good = (value: string, untilMs = 2000) => async (): Promise<Looked<string>> => ({ value, untilMs })
const bad = (untilMs = 2000) => async (): Promise<Looked<string>> => ({ value: new Failure('GW_UNAUTHENTICATED', 'no'), untilMs })

t.test('a map of what was used last', async t => {
  const map = new RecentMap<number>({ maxEntries: 4, maxChars: 1000 })
  for (const [index, key] of ['a', 'b', 'c'].entries()) map.set(key, index)
  t.equal(map.get('a'), 0, 'of the older generation, and young again')
  map.set('d', 3)
  t.equal(map.get('b'), undefined, 'what nobody asked for is gone')
  t.strictSame([map.get('a'), map.get('d')], [0, 3])
  map.delete('a')
  t.equal(map.get('a'), undefined)
  map.set('x'.repeat(501), 1)
  t.equal(map.get('x'.repeat(501)), undefined, 'too long to be kept')
  map.clear()
  t.strictSame([map.size, map.chars], [0, 0])
})

t.test('bounds hold under a hundred thousand random keys', async t => {
  const random = new Random(7)
  const map = new RecentMap<number>({ maxEntries: 1000, maxChars: 20_000 })
  for (let i = 0; i < 100_000; i++) {
    const key = String(random.next()).repeat(1 + random.below(3))
    if (random.chance(0.2)) map.get(key)
    if (random.chance(0.1)) map.delete(key)
    map.set(key, i)
    if (map.size > 1000 || map.chars > 20_000) return t.fail(`${map.size} entries, ${map.chars} characters after ${i}`)
  }
  t.ok(map.size > 100)
})

t.test('what is believed, until when', async t => {
  let time = 1000
  const cache = new TokenCache<string>(BOUNDS)
  t.equal(await cache.load('k', 'd', good('who', 1500), () => time), 'who')
  t.equal(cache.get('k', 1499), 'who')
  t.equal(cache.get('k', 1500), undefined)
  const refused = await cache.load('b', 'db', bad(1500), () => time)
  t.equal(cache.load('b', 'db', good('who'), () => time), refused, 'a refusal is answered without a promise')
  time = 1500
  t.equal(await cache.load('b', 'db', good('who'), () => time), 'who')
  await cache.load('z', 'dz', good('who', 1500), () => time)
  t.equal(cache.get('z', 1499), undefined, 'over already: not kept')
  cache.clear()
  t.match(cache.counts, { good: 0, refused: 0, pending: 0, waiters: 0 })
})

t.test('of many requests with one credential one looks', async t => {
  const cache = new TokenCache<string>(BOUNDS)
  let looks = 0
  let finish = (_: Looked<string>): void => {}
  const look = (): Promise<Looked<string>> => new Promise(resolve => { looks++; finish = resolve })
  const asked = Array.from({ length: 10 }, () => cache.load('k', 'd', look, now))
  await null
  t.match(cache.counts, { pending: 1, waiters: 10 })
  await null
  finish({ value: 'who', untilMs: 2000 })
  t.strictSame(await Promise.all(asked), Array(10).fill('who'))
  t.equal(looks, 1)
  t.match(cache.counts, { pending: 0, waiters: 0 })
})

t.test('looks and waiters are bounded', async t => {
  const cache = new TokenCache<string>(BOUNDS)
  const finishers: (() => void)[] = []
  const look = (): Promise<Looked<string>> => new Promise(resolve => finishers.push(() => resolve({ value: 'who', untilMs: 2000 })))
  const waiting = Array.from({ length: 8 }, (_, i) => cache.load(`k${i}`, `d${i}`, look, now))
  t.match(cache.load('k9', 'd9', look, now), { code: 'GW_AUTH_UNAVAILABLE' }, 'a ninth look')
  for (let i = 0; i < 12; i++) waiting.push(cache.load('k0', 'd0', look, now))
  t.match(cache.load('k0', 'd0', look, now), { code: 'GW_AUTH_UNAVAILABLE' }, 'a waiter too many')
  await new Promise(resolve => setImmediate(resolve))
  for (const finish of finishers) finish()
  t.strictSame(await Promise.all(waiting), Array(20).fill('who'))
  t.match(cache.counts, { pending: 0, waiters: 0 })
})

t.test('a look that throws leaves nothing behind', async t => {
  const cache = new TokenCache<string>(BOUNDS)
  await t.rejects(Promise.resolve(cache.load('k', 'd', async () => { throw new Error('fault') }, now)))
  t.match(cache.counts, { pending: 0, waiters: 0 })
  t.equal(await cache.load('k', 'd', good('who'), now), 'who')
})

t.test('a flood of bad credentials takes no place of a good one', async t => {
  const cache = new TokenCache<string>(BOUNDS)
  await cache.load('good', 'd', good('who'), now)
  for (let i = 0; i < 5000; i++) await cache.load(`bad-${i}`, `d-${i}`, bad(), now)
  t.equal(cache.get('good', 1000), 'who')
  t.ok(cache.counts.refused <= BOUNDS.maxRefusals)
})
