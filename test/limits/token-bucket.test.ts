import fc from 'fast-check'
import t from 'tap'
import { LimitTable } from '../../src/limits/limit-table.ts'
import { TokenBucket } from '../../src/limits/token-bucket.ts'
import { type Admission, highestLevel } from '../support/leaky-bucket.ts'
import { ManualClock } from '../support/manual-clock.ts'

const SEED = { seed: 20_241_127, numRuns: 300 }
/** What sums of times are off by. */
const NOISE = 1e-6

function bucketOf(settings: { requestsPerSecond?: number; burstRequests?: number; cost?: number; version?: string } = {}, slots = 8) {
  const clock = new ManualClock()
  const table = new LimitTable(LimitTable.allocate(slots, clock), clock)
  const bucket = new TokenBucket(table, { version: 'v', requestsPerSecond: 2, burstRequests: 3, cost: 1, ...settings })
  return { clock, table, bucket, take: (key = 'k') => (bucket.locate(key), bucket.charge(table.nowMs())) }
}

for (const { desc, settings, pausesMs, want } of [
  { desc: 'spends the burst, then denies', settings: {}, pausesMs: [0, 0, 0, 0], want: [true, true, true, false] },
  { desc: 'refills at the rate', settings: {}, pausesMs: [0, 0, 0, 499, 1, 0], want: [true, true, true, false, true, false] },
  { desc: 'never holds more than the burst', settings: {}, pausesMs: [0, 60_000, 0, 0, 0], want: [true, true, true, true, false] },
  { desc: 'takes the cost', settings: { cost: 2 }, pausesMs: [0, 0, 499, 1], want: [true, false, false, true] },
  { desc: 'rates below one a second', settings: { requestsPerSecond: 0.001, burstRequests: 1 }, pausesMs: [0, 999_999, 1, 0], want: [true, false, true, false] },
  { desc: 'is full again after a long pause, whatever its word says', settings: { requestsPerSecond: 1_000_000, burstRequests: 2 }, pausesMs: [0, 333_333_333, 0, 0, 2e9], want: [true, true, true, false, true] },
]) {
  t.test(desc, async t => {
    const { clock, take } = bucketOf(settings)
    t.strictSame(pausesMs.map(ms => (clock.advance(ms), take())), want)
  })
}

t.test('tells what is left, and when', async t => {
  const { clock, bucket, take } = bucketOf({ requestsPerSecond: 2, burstRequests: 3 })
  take()
  t.strictSame([bucket.remaining, bucket.fullInMs, bucket.retryAfterMs], [2, 500, 0])
  take()
  take()
  clock.advance(100)
  t.notOk(take())
  t.equal(bucket.remaining, 0)
  t.ok(Math.abs(bucket.retryAfterMs - 400) < NOISE && Math.abs(bucket.fullInMs - 1400) < NOISE)
})

const settingsOf = fc.record({
  requestsPerSecond: fc.oneof(fc.double({ min: 0.01, max: 10, noNaN: true }), fc.integer({ min: 1, max: 1_000_000 })),
  burstRequests: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 20, max: 1_000_000 })),
})
const partsOfBurst = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 30 })), { minLength: 1, maxLength: 60, size: 'max' })

t.test('keeps the promise, and gives all of what it allows', async t => {
  fc.assert(fc.property(settingsOf, partsOfBurst, (settings, parts) => {
    const { clock, table, take } = bucketOf(settings)
    const admissions: Admission[] = []
    const fillMs = settings.burstRequests * 1000 / settings.requestsPerSecond
    for (const [part, count] of parts) {
      clock.advance(part ** 3 * fillMs)
      for (let i = 0; i < count; i++) if (take()) admissions.push({ atMs: table.nowMs(), tokens: 1 })
    }
    return highestLevel(admissions, settings.requestsPerSecond) <= settings.burstRequests * (1 + NOISE)
  }), SEED)
  // Asked all the time, it gives the burst and the rate: rounding takes nothing.
  fc.assert(fc.property(settingsOf, settings => {
    const { clock, take } = bucketOf(settings)
    const burst = settings.burstRequests
    const stepMs = 250 / settings.requestsPerSecond
    let spare = 0
    for (let i = 0; i < Math.min(burst, 5000); i++) if (!take()) spare++
    let admitted = 0
    let passedMs = 0
    if (burst > 5000) return spare === 0
    for (let i = 0; i < 2000; i++) {
      clock.advance(stepMs)
      passedMs += stepMs
      if (take()) admitted++
    }
    return admitted >= Math.floor(passedMs * settings.requestsPerSecond / 1000) - 1 && spare <= 1
  }), { ...SEED, numRuns: 60 })
  t.pass()
})

t.test('who waits as long as told is admitted', async t => {
  fc.assert(fc.property(settingsOf, partsOfBurst, fc.integer({ min: 1, max: 20 }), (settings, parts, wantedCost) => {
    const cost = Math.min(wantedCost, settings.burstRequests)
    const { clock, bucket, take } = bucketOf({ ...settings, cost })
    for (const [part, count] of parts) {
      clock.advance(part ** 3 * 1000 / settings.requestsPerSecond)
      for (let i = 0; i < count; i++) {
        if (take()) continue
        clock.advance(bucket.retryAfterMs)
        if (!take()) return false
      }
    }
    return true
  }), SEED)
  t.pass()
})

t.test('clocks of threads that differ do not break the promise', async t => {
  fc.assert(fc.property(settingsOf, fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 3, noNaN: true })), { minLength: 1, maxLength: 300, size: 'max' }), (settings, steps) => {
    const { clock, table, bucket } = bucketOf(settings)
    const admissions: Admission[] = []
    for (const [part, aheadMs] of steps) {
      clock.advance(part ** 4 * 1000 / settings.requestsPerSecond)
      const nowMs = table.nowMs() + aheadMs
      bucket.locate('k')
      if (bucket.charge(nowMs)) admissions.push({ atMs: nowMs, tokens: 1 })
    }
    return highestLevel(admissions, settings.requestsPerSecond) <= settings.burstRequests * (1 + NOISE)
  }), SEED)
  t.pass()
})

t.test('what is given back is as if it had not been taken, or less', async t => {
  const action = fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), fc.integer({ min: 0, max: 3 }), fc.double({ min: 0, max: 1, noNaN: true }))
  fc.assert(fc.property(settingsOf, fc.array(action, { minLength: 1, maxLength: 100, size: 'max' }), (settings, actions) => {
    const { clock, table, take } = bucketOf(settings)
    const other = new TokenBucket(table, { version: 'v', ...settings, cost: Math.min(3, settings.burstRequests) })
    const admissions: Admission[] = []
    const tokenMs = 1000 / settings.requestsPerSecond
    for (const [part, isUndone, between, pause] of actions) {
      clock.advance(part ** 3 * 3 * tokenMs)
      other.locate('k')
      if (!other.charge(table.nowMs())) continue
      const charged = { atMs: table.nowMs(), tokens: Math.min(3, settings.burstRequests) }
      for (let i = 0; i < between; i++) if (take()) admissions.push({ atMs: table.nowMs(), tokens: 1 })
      clock.advance(pause ** 3 * 5 * tokenMs)
      for (let i = 0; i < between; i++) if (take()) admissions.push({ atMs: table.nowMs(), tokens: 1 })
      if (isUndone) other.undo(table.nowMs())
      else admissions.push(charged)
    }
    // A bucket that gets a burst of others right after a charge was undone.
    for (let i = 0; i < 50; i++) if (take()) admissions.push({ atMs: table.nowMs(), tokens: 1 })
    return highestLevel(admissions, settings.requestsPerSecond) <= settings.burstRequests * (1 + NOISE)
  }), { ...SEED, numRuns: 1000 })

  const { table, take } = bucketOf({ burstRequests: 3 })
  const other = new TokenBucket(table, { version: 'v', requestsPerSecond: 2, burstRequests: 3, cost: 2 })
  other.locate('k')
  t.ok(other.charge(table.nowMs()))
  other.undo(table.nowMs())
  t.strictSame([take(), take(), take(), take()], [true, true, true, false], 'all of it is back where nobody came in between')
})

t.test('a changed limit is another bucket', async t => {
  const { table, take } = bucketOf({ burstRequests: 1 })
  t.strictSame([take(), take()], [true, false])
  const changed = new TokenBucket(table, { version: 'w', requestsPerSecond: 2, burstRequests: 1, cost: 1 })
  changed.locate('k')
  t.ok(changed.charge(table.nowMs()))
})

t.test('no number of keys breaks the promise of one', async t => {
  const visit = fc.tuple(fc.integer({ min: 0, max: 40 }), fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
  const limits = fc.array(settingsOf, { minLength: 1, maxLength: 3 })
  fc.assert(fc.property(limits, fc.array(visit, { minLength: 50, maxLength: 400, size: 'max' }), (allSettings, visits) => {
    const { clock, table } = bucketOf()
    const buckets = allSettings.map((settings, index) => new TokenBucket(table, { version: `${index}`, ...settings, cost: 1 }))
    const admissions = new Map<string, Admission[]>()
    for (const [key, part, isBurst] of visits) {
      const at = key % buckets.length
      clock.advance(part ** 4 * 1000 / allSettings[at]!.requestsPerSecond)
      for (let i = isBurst ? Math.min(30, allSettings[at]!.burstRequests) : 1; i > 0; i--) {
        buckets[at]!.locate(`${key}`)
        if (!buckets[at]!.charge(table.nowMs())) break
        const list = admissions.get(`${key}`) ?? []
        admissions.set(`${key}`, list)
        list.push({ atMs: table.nowMs(), tokens: 1 })
      }
    }
    return [...admissions].every(([key, list]) => {
      const { requestsPerSecond, burstRequests } = allSettings[Number(key) % buckets.length]!
      return highestLevel(list, requestsPerSecond) <= burstRequests * (1 + NOISE)
    })
  }), SEED)
  t.pass()
})

t.test('a key whose slot was lost comes back with no more than it had, and a table with room loses none', async t => {
  const { clock, take } = bucketOf({ requestsPerSecond: 1, burstRequests: 5 }, 8)
  for (let i = 0; i < 5; i++) t.ok(take('victim'))
  for (let key = 0; key < 20; key++) for (let i = 0; i < 5; i++) take(`k${key}`)
  t.notOk(take('victim'), 'a second burst is not to be had')
  clock.advance(6000)
  t.ok(take('victim'))

  const roomy = bucketOf({ requestsPerSecond: 1, burstRequests: 2 }, 4096)
  const keys = Array.from({ length: 400 }, (_, key) => `k${key}`)
  t.ok(keys.every(key => roomy.take(key) && roomy.take(key)))
  t.notOk(keys.some(key => roomy.take(key)))
})

t.test('memory does not grow, and old keys make room', async t => {
  const { clock, take, table } = bucketOf({ requestsPerSecond: 100, burstRequests: 100 }, 64)
  const { byteLength } = table.words.buffer
  for (let key = 0; key < 100_000; key++) {
    clock.advance(50)
    if (!take(`k${key}`)) t.fail(`key ${key} was denied`)
  }
  t.equal(table.words.buffer.byteLength, byteLength)
})

t.test('what a thread that ended had locked is put in order', async t => {
  const { table, take, bucket } = bucketOf({ burstRequests: 1, requestsPerSecond: 0.1 })
  t.ok(take('k'))
  const group = table.groups.groupAt(0)
  Atomics.store(table.words, group + 16, 77 + 1)
  t.notOk(take('new'), 'a new key finds its group locked')
  t.ok(bucket.retryAfterMs > 0)
  t.notOk(take('k'), 'a known one is answered')
  table.releaseThread(76)
  t.notOk(take('new'))
  table.releaseThread(77)
  t.ok(take('new'))
})
