import t from 'tap'
import { stringHash } from '../../../src/base/string-hash.ts'
import { buildMaglevTable } from '../../../src/upstream/balancers/maglev-table.ts'
import { Maglev } from '../../../src/upstream/balancers/maglev.ts'
import type { Candidate } from '../../../src/upstream/balancer.ts'
import { Random } from '../../support/random.ts'
import { candidatesOf, noKey, requestWith, Traffic } from './traffic.ts'

const urlsOf = (count: number): string[] => candidatesOf(...Array.from({ length: count }, () => 1)).map(({ endpoint }) => endpoint.address.url)
const even = (count: number): Float64Array => new Float64Array(count).fill(1)
const make = (candidates: readonly Candidate[], seed = 1): Maglev => {
  const random = new Random(seed)
  return new Maglev('ip', candidates, { random: () => random.next(), nowMs: () => 0 })
}
const keyed = (i: number) => requestWith({ ip: `192.168.${i >> 8}.${i & 255}` })

for (const weights of [[1, 1], [1, 3], [5, 1, 2], [0.25, 1, 1], [100, 1], Array.from({ length: 100 }, () => 1), Array.from({ length: 100 }, (_, i) => 1 + i % 4)]) {
  t.test(`table: ${weights.length} endpoints, weights ${weights.slice(0, 4).join(', ')}`, async t => {
    const table = buildMaglevTable(urlsOf(weights.length), Float64Array.from(weights))
    const counts = weights.map(() => 0)
    for (const index of table) counts[index]!++
    const total = weights.reduce((sum, weight) => sum + weight)
    const off = counts.map((count, i) => Math.abs(count - table.length * weights[i]! / total))
    t.ok(Math.max(...off) <= 2, `slots beside the share: ${Math.max(...off)}`)
  })
}

t.test('table: the order of the endpoints does not matter, so all nodes agree', async t => {
  const urls = urlsOf(7)
  const weights = Float64Array.from([1, 2, 3, 1, 2, 3, 0.5])
  const table = buildMaglevTable(urls, weights)
  const turned = buildMaglevTable([...urls].reverse(), weights.toReversed())
  t.ok(table.every((index, slot) => turned[slot] === 6 - index))
})

for (const count of [2, 5, 10, 50, 129]) {
  t.test(`of ${count} endpoints one goes: few keys of the others move`, async t => {
    const candidates = candidatesOf(...Array.from({ length: count }, () => 1))
    const gone = candidates[count >> 1]!.endpoint
    const before = make(candidates)
    const after = make(candidates.filter(({ endpoint }) => endpoint !== gone))
    const keys = 20_000
    let moved = 0
    for (let i = 0; i < keys; i++) {
      const endpoint = before.pick(keyed(i), [])
      if (endpoint !== gone && after.pick(keyed(i), []) !== endpoint) moved++
    }
    t.ok(moved / keys < 2 / count, `${moved / keys} for 1/n = ${1 / count}`)
  })
}

t.test('a weight that changes moves no more keys than it must, by and large', async t => {
  const urls = urlsOf(10)
  const table = buildMaglevTable(urls, even(10))
  const slower = buildMaglevTable(urls, Float64Array.from([0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]))
  let moved = 0
  for (const [slot, index] of table.entries()) if (slower[slot] !== index) moved++
  // Its share falls from 10 % to 5.3 %.
  t.ok(moved / table.length < 0.15, String(moved / table.length))
})

t.test('the same value goes to the same endpoint, in every worker', async t => {
  const candidates = candidatesOf(1, 1, 1, 1, 1)
  const [one, other] = [make(candidates, 1), make([...candidates].reverse(), 2)]
  let differ = 0
  for (let i = 0; i < 2000; i++) if (one.pick(keyed(i), []) !== other.pick(keyed(i), [])) differ++
  t.equal(differ, 0)
})

t.test('values spread by chance: chi-square', async t => {
  const candidates = candidatesOf(...Array.from({ length: 10 }, () => 1))
  const balancer = make(candidates)
  for (const prefix of ['', 'user-', 'ключ ', '10.0.0.']) {
    const counts = new Map(candidates.map(({ endpoint }) => [endpoint, 0]))
    for (let i = 0; i < 10_000; i++) {
      const endpoint = balancer.pick(requestWith({ ip: `${prefix}${i}` }), [])
      counts.set(endpoint, counts.get(endpoint)! + 1)
    }
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    // Nine degrees of freedom: one in a hundred thousand is above.
    t.ok(chiSquare < 39, `'${prefix}': ${chiSquare}`)
  }
})

t.test('hash: one bit of the text turns half of the bits', async t => {
  let turned = 0
  for (let i = 0; i < 1000; i++) {
    const text = `key-${i}`
    const near = text.slice(0, -1) + String.fromCharCode(text.charCodeAt(text.length - 1) ^ 1)
    for (let bits = stringHash(text, 1) ^ stringHash(near, 1); bits !== 0; bits &= bits - 1) turned++
  }
  t.ok(Math.abs(turned / 1000 - 16) < 0.5, String(turned / 1000))
  t.not(stringHash('', 1), stringHash('', 2))
})

t.test('a hot key: no endpoint gets more than 1.25 times the mean, and the way round is always the same', async t => {
  const candidates = candidatesOf(1, 1, 2, 1)
  const balancer = make(candidates)
  const hot = keyed(1)
  let above = 0
  for (let sent = 0; sent < 400; sent++) {
    const endpoint = balancer.pick(hot, [])
    t.equal(balancer.pick(hot, []), endpoint)
    endpoint.inFlight++
    for (const candidate of candidates) if (candidate.endpoint.inFlight > Math.max(4, Math.ceil(1.25 * (sent + 1) * candidate.weight / 5))) above++
  }
  t.equal(above, 0)
  const first = make(candidatesOf(1, 1, 2, 1)).pick(hot, []).address.url
  const loads = candidates.map(({ endpoint, weight }) => ({ url: endpoint.address.url, ratio: endpoint.inFlight / (80 * weight) }))
  t.equal(loads.find(({ url }) => url === first)!.ratio, 1.25, 'its own endpoint is filled up to the bound')
})

t.test('a key comes home when the load has gone', async t => {
  const candidates = candidatesOf(1, 1, 1)
  const balancer = make(candidates)
  const home = balancer.pick(keyed(9), [])
  home.inFlight = 10
  t.not(balancer.pick(keyed(9), []), home)
  home.inFlight = 0
  t.equal(balancer.pick(keyed(9), []), home)
})

t.test('a retry of a key goes to the same second endpoint', async t => {
  const candidates = candidatesOf(1, 1, 1, 1)
  const balancer = make(candidates)
  const home = balancer.pick(keyed(5), [])
  const second = balancer.pick(keyed(5), [home])
  t.not(second, home)
  for (let i = 0; i < 10; i++) t.equal(balancer.pick(keyed(5), [home]), second)
})

t.test('without a value: by weight, at random', async t => {
  const traffic = new Traffic({ hash: 'header:x-user' }, candidatesOf(1, 3))
  traffic.nextRequest = () => noKey
  const [light] = traffic.run(8, 20_000)
  t.ok(Math.abs(light! - 0.25) < 0.015, String(light))
})
