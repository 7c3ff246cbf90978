import t from 'tap'
import { LeaseEngine } from '../../src/limits/lease-engine.ts'
import { LeasedLimiter } from '../../src/limits/leased-limiter.ts'
import { leasePlanOf, type LimitSettings } from '../../src/limits/limit-settings.ts'
import { LimitTable } from '../../src/limits/limit-table.ts'
import type { Decision } from '../../src/limits/limiter.ts'
import { FakeAuthority } from '../support/fake-authority.ts'
import { type Admission, highestLevel } from '../support/leaky-bucket.ts'
import { Random } from '../support/random.ts'
import { Simulation } from '../support/simulation.ts'

const limitOf = (settings: Partial<LimitSettings>): LimitSettings => ({
  version: 'v', requestsPerSecond: 200, burstRequests: 100, cost: 1, onStoreFailure: 'deny', maxNodes: 1, isShadow: false, ...settings,
})

/** Of the first limit's keys. */
type Tally = { readonly admissions: Map<string, Admission[]>; denied: number; unavailable: number; readonly waitsMs: number[]; shadowDenials: number; last: Decision | null }

/** Nodes with threads that share one authority. */
function clusterOf(seed: number, limits: readonly LimitSettings[], { nodes = 2, threads = 2, slots = 64 } = {}) {
  const simulation = new Simulation()
  const random = new Random(seed)
  const authority = new FakeAuthority(simulation, random)
  const engines: LeaseEngine[] = []
  const tally: Tally = { admissions: new Map(), denied: 0, unavailable: 0, waitsMs: [], shadowDenials: 0, last: null }
  const limiters = Array.from({ length: nodes }, (_, node) => {
    const memory = LimitTable.allocate(slots, simulation)
    return Array.from({ length: threads }, () => {
      const table = new LimitTable(memory, simulation)
      const engine = new LeaseEngine({
        table, authority: authority.ofNode(node),
        atEndOfTurn: send => simulation.in(0.02, send),
        startTimer: (ms, run) => simulation.in(ms, run),
      })
      engines.push(engine)
      return new LeasedLimiter(table, engine, limits, () => { tally.shadowDenials++ })
    })
  })
  const settle = (decision: Decision, key: string, startMs: number): void => {
    const nowMs = simulation.nowMs()
    tally.last = decision
    tally.waitsMs.push(nowMs - startMs)
    if (decision.outcome === 'admitted') {
      const list = tally.admissions.get(key) ?? []
      tally.admissions.set(key, list)
      list.push({ atMs: nowMs, tokens: limits[0]!.cost })
    } else if (decision.outcome === 'denied') tally.denied++
    else tally.unavailable++
  }
  const ask = (node: number, keys = limits.map(() => 'k')): void => {
    const startMs = simulation.nowMs()
    const decision = random.pick(limiters[node]!).take(keys)
    if (decision instanceof Promise) void decision.then(late => settle(late, keys[0]!, startMs))
    else settle(decision, keys[0]!, startMs)
  }
  /** Requests at random times, so many a second on this node. */
  const load = (node: number, requestsPerSecond: number, durationMs: number, keys?: string[]): void => {
    const endMs = simulation.nowMs() + durationMs
    const next = (): void => {
      const pauseMs = -Math.log(1 - random.next()) * 1000 / requestsPerSecond
      if (simulation.nowMs() + pauseMs <= endMs) simulation.in(pauseMs, () => { ask(node, keys); next() })
    }
    next()
  }
  return { simulation, random, authority, engines, tally, ask, load }
}

/** In direct mode a grant is used up to 10 ms after it was debited; see the plan's reserve for what leases need. */
const boundOf = ({ requestsPerSecond, burstRequests, cost }: LimitSettings): number =>
  burstRequests + (leasePlanOf(requestsPerSecond, burstRequests, cost).leaseMs === 0 ? requestsPerSecond * 0.01 : 0) + 1e-6

t.test('the promise holds over nodes, whatever the network and the store do', async t => {
  let throttled = 0
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed)
    const requestsPerSecond = random.pick([0.5, 5, 50, 200, 1000])
    const burstRequests = random.pick([1, 3, 10, 100, 400])
    const limit = limitOf({ requestsPerSecond, burstRequests, cost: Math.min(burstRequests, random.pick([1, 1, 1, 3])) })
    const nodes = 1 + random.below(4)
    const { simulation, authority, tally, load } = clusterOf(seed, [limit], { nodes, threads: 1 + random.below(3), slots: 8 })
    Object.assign(authority.network, {
      delayMs: random.pick([0.2, 2, 20, 200]), dropRatio: random.pick([0, 0, 0.05, 0.3]), lateRatio: random.pick([0, 0.1]), lateMs: random.pick([30, 300, 1500]),
      timeoutMs: random.pick([10, 100, Infinity]),
    })
    for (let node = 0; node < nodes; node++) {
      load(node, Math.min(1500, random.pick([0.3, 1, 3]) * requestsPerSecond) / limit.cost, 4000)
      // Another key now and then, so that slots change hands.
      for (let key = 0; key < 12; key++) simulation.in(random.next() * 4000, () => load(node, 2, 1000, [`k${key % 4 === 0 ? '' : key}`]))
    }
    for (const [atMs, run] of [
      [random.next() * 4000, () => authority.restart()], [random.next() * 4000, () => { authority.network.isDown = true }],
      [random.next() * 4000, () => { authority.network.isDown = false }], [random.next() * 4000, () => authority.empty()],
    ] as const) if (random.chance(0.5)) simulation.in(atMs, run)
    await simulation.runFor(6000)
    throttled += tally.denied
    for (const [key, admissions] of tally.admissions) {
      const level = highestLevel(admissions, requestsPerSecond)
      if (level > boundOf(limit)) t.fail(`seed ${seed}, ${key}: level ${level} of ${boundOf(limit)}`)
    }
  }
  t.ok(throttled > 1000, `${throttled} were denied`)
})

const admittedOf = ({ admissions }: Tally, key = 'k'): number => admissions.get(key)?.length ?? 0

for (const { desc, demands } of [
  { desc: 'even', demands: [0.35, 0.35, 0.35] },
  { desc: 'skewed 90/10', demands: [0.945, 0.105] },
  { desc: 'far too much', demands: [3, 3] },
  { desc: 'one node', demands: [1.05] },
]) {
  for (const [requestsPerSecond, burstRequests] of [[100, 100], [500, 100], [20, 40]] as const) {
    t.test(`gives at least 95 % of the rate under a demand that is ${desc}, at ${requestsPerSecond}/s`, async t => {
      const limit = limitOf({ requestsPerSecond, burstRequests })
      const { simulation, authority, tally, load } = clusterOf(7, [limit], { nodes: demands.length })
      demands.forEach((part, node) => load(node, part * requestsPerSecond, 20_000))
      await simulation.runFor(20_100)
      const ratio = admittedOf(tally) / (requestsPerSecond * 20)
      t.ok(ratio >= 0.95, `${ratio} of the rate`)
      const { pollMs, horizonMs } = leasePlanOf(requestsPerSecond, burstRequests, 1)
      const most = (1000 / pollMs + 1000 / horizonMs) * 20 * demands.length
      t.ok(authority.callCount <= most, `${authority.callCount} calls, ${most} allowed, for ${tally.waitsMs.length} requests`)
    })
  }
}

t.test('gives at least 95 % to nodes that come and go', async t => {
  const limit = limitOf({ requestsPerSecond: 200, burstRequests: 100 })
  const { simulation, tally, load } = clusterOf(9, [limit], { nodes: 2 })
  for (let second = 0; second < 20; second += 2) {
    simulation.in(second * 1000, () => load(0, 300, 1000))
    simulation.in(second * 1000, () => load(1, 220, 2000))
  }
  await simulation.runFor(20_100)
  t.ok(admittedOf(tally) >= 0.95 * 200 * 20, `${admittedOf(tally)} admitted`)
})

t.test('denies nothing under half of the rate, and hardly anybody waits', async t => {
  for (const [requestsPerSecond, burstRequests] of [[100, 100], [1000, 1000], [20, 40]] as const) {
    const { simulation, tally, load } = clusterOf(11, [limitOf({ requestsPerSecond, burstRequests })], { nodes: 2 })
    for (let node = 0; node < 2; node++) load(node, requestsPerSecond / 4, 20_000)
    await simulation.runFor(20_100)
    t.strictSame([tally.denied, tally.unavailable], [0, 0], `${requestsPerSecond}/s`)
    t.ok(Math.max(...tally.waitsMs) <= 3, `waits up to ${Math.max(...tally.waitsMs)} ms`)
    if (requestsPerSecond < 1000) continue
    const waiting = tally.waitsMs.filter(ms => ms > 0).length
    t.ok(waiting < tally.waitsMs.length / 20, `${waiting} of ${tally.waitsMs.length} waited`)
  }
})

t.test('a hot key asks seldom, whatever the request rate', async t => {
  const limit = limitOf({ requestsPerSecond: 1000, burstRequests: 1000 })
  const { simulation, authority, tally, load } = clusterOf(12, [limit], { nodes: 1 })
  load(0, 20_000, 3000)
  await simulation.runFor(3100)
  const { pollMs, horizonMs } = leasePlanOf(1000, 1000, 1)
  t.ok(authority.callCount <= 3 * (1000 / pollMs + 1000 / horizonMs), `${authority.callCount} calls for ${tally.waitsMs.length} requests`)
})

t.test('when the authority is away', async t => {
  for (const { desc, settings, timeoutMs, check } of [
    { desc: 'deny admits nothing after the lease', settings: { onStoreFailure: 'deny' }, timeoutMs: 50, check: (rest: number) => rest === 0 },
    { desc: 'deny, and the authority hangs', settings: { onStoreFailure: 'deny' }, timeoutMs: Infinity, check: (rest: number) => rest === 0 },
    // R / maxNodes is 50 a second, with a burst of 25, on each of two nodes.
    { desc: 'local stays within its share', settings: { onStoreFailure: 'local', maxNodes: 4 }, timeoutMs: 50, check: (rest: number) => rest > 2 * 50 * 4 * 0.9 && rest <= 2 * (25 + 50 * 4.5) },
    { desc: 'allow lets everything pass', settings: { onStoreFailure: 'allow' }, timeoutMs: 10, check: (rest: number, all: number) => rest === all },
  ] as const) {
    const limit = limitOf(settings)
    const { simulation, authority, tally, load } = clusterOf(13, [limit])
    authority.network.timeoutMs = timeoutMs
    load(0, 400, 6000)
    load(1, 400, 6000)
    await simulation.runFor(1000)
    authority.network.isDown = true
    await simulation.runFor(leasePlanOf(200, 100, 1).leaseMs + 1)
    const before = { admitted: admittedOf(tally), all: tally.waitsMs.length }
    const asked = authority.callCount
    await simulation.runFor(4500)
    t.ok(check(admittedOf(tally) - before.admitted, tally.waitsMs.length - before.all), `${desc}: ${admittedOf(tally) - before.admitted} of ${tally.waitsMs.length - before.all}`)
    t.ok(Math.max(...tally.waitsMs) <= 12, `${desc}: nobody waits longer than that, ${Math.max(...tally.waitsMs)} ms`)
    // Once for each of four threads a quarter of a second.
    t.ok(authority.callCount - asked <= 4 * 4 * 5, `${desc}: ${authority.callCount - asked} questions meanwhile`)
    const waited = tally.waitsMs.filter(ms => ms > 5).length
    t.ok(waited < tally.waitsMs.length / 20, `${desc}: ${waited} of ${tally.waitsMs.length} waited`)

    authority.network.isDown = false
    load(0, 100, 1500)
    await simulation.runFor(1000)
    const calls = authority.callCount
    await simulation.runFor(600)
    t.ok(authority.callCount > calls && tally.last!.outcome === 'admitted', `${desc}: and it goes on as before`)
  }
})

t.test('a reply after the end of its lease is thrown away', async t => {
  const { simulation, authority, tally, ask } = clusterOf(14, [limitOf({})], { nodes: 1, threads: 1 })
  Object.assign(authority.network, { lateRatio: 1, lateMs: 200, timeoutMs: Infinity })
  ask(0)
  await simulation.runFor(1000)
  t.equal(tally.unavailable, 1)
  authority.network.isDown = true
  ask(0)
  await simulation.runFor(1000)
  t.equal(admittedOf(tally), 0, 'its tokens are gone')
})

t.test('direct mode: a grant a request, and a pause once it is known that there are none', async t => {
  const limit = limitOf({ requestsPerSecond: 1, burstRequests: 2 })
  t.equal(leasePlanOf(1, 2, 1).leaseMs, 0)
  const { simulation, authority, tally, ask } = clusterOf(15, [limit], { nodes: 2, threads: 1 })
  for (const node of [0, 1]) ask(node)
  await simulation.runFor(20)
  t.equal(admittedOf(tally), 2)
  t.ok(authority.requests.every(({ want, atLeast, leaseMs, capacity }) => want === 1 && atLeast === 1 && leaseMs === 0 && capacity === 2))
  ask(0)
  await simulation.runFor(20)
  t.equal(tally.denied, 1)
  const calls = authority.callCount
  for (let i = 0; i < 50; i++) ask(0)
  t.equal(authority.callCount, calls, 'nobody asks while it is no use')
  await simulation.runFor(tally.last!.retryAfterMs)
  ask(0)
  await simulation.runFor(20)
  t.equal(admittedOf(tally), 3, 'who waits as long as told is admitted')
})

t.test('who waits as long as told is admitted, from a lease too', async t => {
  for (const [requestsPerSecond, burstRequests, cost] of [[200, 100, 1], [2, 20, 1], [0.5, 10, 1], [10, 100, 7]] as const) {
    const { simulation, tally, ask } = clusterOf(16, [limitOf({ requestsPerSecond, burstRequests, cost })], { nodes: 1, threads: 1 })
    for (let i = 0; i < 10 * burstRequests && tally.last?.outcome !== 'denied'; i++) {
      ask(0)
      await simulation.runFor(1)
    }
    t.equal(tally.last!.outcome, 'denied')
    await simulation.runFor(Math.max(1, Math.ceil(tally.last!.retryAfterMs / 1000)) * 1000)
    ask(0)
    await simulation.runFor(11)
    t.equal(tally.last!.outcome, 'admitted', `${requestsPerSecond}/s, cost ${cost}`)
  }
})

t.test('of several limits all or none are charged', async t => {
  const wide = limitOf({ version: 'wide', requestsPerSecond: 10, burstRequests: 1000 })
  const narrow = limitOf({ version: 'narrow', requestsPerSecond: 20, burstRequests: 40 })
  const { simulation, tally, authority, load } = clusterOf(17, [wide, narrow], { nodes: 1 })
  load(0, 200, 10_000, ['k', 'k'])
  await simulation.runFor(10_100)
  const bound = 40 + 20 * 10
  t.ok(admittedOf(tally) <= bound && admittedOf(tally) >= 0.95 * 20 * 10, `${admittedOf(tally)} admitted, at most ${bound}`)
  t.ok(authority.callCount > 0)
  t.ok(highestLevel(tally.admissions.get('k')!, 20) <= 40 + 1e-6)
})

t.test('a shadow limit denies nothing, counts what it would have denied, and holds nobody up', async t => {
  const { simulation, tally, load } = clusterOf(18, [limitOf({ isShadow: true, requestsPerSecond: 50, burstRequests: 50 })], { nodes: 1 })
  load(0, 200, 5000)
  await simulation.runFor(5100)
  t.strictSame([tally.denied, tally.unavailable, Math.max(...tally.waitsMs)], [0, 0, 0])
  const all = admittedOf(tally)
  t.ok(tally.shadowDenials >= all - (50 + 50 * 5.1) - 5 && tally.shadowDenials < all - 0.9 * 50 * 5, `${tally.shadowDenials} of ${all}`)
})

t.test('keys by the thousands leave nothing behind, and questions hold no key of a client', async t => {
  const { simulation, authority, tally, engines, ask } = clusterOf(19, [limitOf({})], { nodes: 1, threads: 1, slots: 64 })
  for (let key = 0; key < 3000; key++) {
    ask(0, [`secret-${key}`])
    await simulation.runFor(0.5)
  }
  await simulation.runFor(100)
  t.equal(tally.denied + tally.unavailable, 0)
  t.ok(engines.every(engine => engine.waiterCount === 0 && engine.askCount === 0))
  t.ok(authority.requests.every(({ bucket }) => /^[\w-]{22}$/.test(bucket)))
  t.equal(new Set(authority.requests.map(({ bucket }) => bucket)).size, 3000)
})
