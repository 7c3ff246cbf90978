import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { ConcurrencyTable } from '../../src/limits/concurrency-table.ts'
import { LeaseSlots } from '../../src/limits/lease-slot.ts'
import type { LimitSettings } from '../../src/limits/limit-settings.ts'
import { FIRST_OF_LEASE, LimitTable } from '../../src/limits/limit-table.ts'
import { highestLevel } from '../support/leaky-bucket.ts'
import type { LimitJob, LimitJobResult } from '../support/limit-worker.ts'

const THREADS = 4

/** Runs a job in several threads at once; the ended threads' ids are told. */
async function inThreads(memory: SharedArrayBuffer, tries: number, task: LimitJob['task']): Promise<{ results: LimitJobResult[]; threadIds: number[] }> {
  const start = new SharedArrayBuffer(8)
  const gate = new Int32Array(start)
  const workers = Array.from({ length: THREADS }, (_, seed) => {
    const workerData: LimitJob = { memory, start, seed: seed + 1, tries, task }
    return new Worker(new URL('../support/limit-worker.js', import.meta.url), { workerData })
  })
  const threadIds = workers.map(worker => worker.threadId)
  const results = workers.map(async worker => (await once(worker, 'message') as [LimitJobResult])[0])
  const exits = workers.map(worker => once(worker, 'exit'))
  while (Atomics.load(gate, 0) < THREADS) await new Promise(resolve => setTimeout(resolve, 5))
  Atomics.store(gate, 1, 1)
  Atomics.notify(gate, 1)
  const all = await Promise.all(results)
  await Promise.all(exits)
  return { results: all, threadIds }
}

const limitOf = (settings: Partial<LimitSettings>): LimitSettings => ({
  version: 'v', requestsPerSecond: 1000, burstRequests: 100, cost: 1, onStoreFailure: 'deny', maxNodes: 1, isShadow: false, ...settings,
})

const sum = (results: readonly LimitJobResult[]): number => results.reduce((total, { count }) => total + count, 0)

function admissionsOf(results: readonly LimitJobResult[], name: string, tokens = 1) {
  return results.flatMap(({ admissions }) => admissions[name] ?? []).map(atMs => ({ atMs, tokens }))
}

t.test('of k tokens of a bucket exactly k are taken by a million tries', async t => {
  // It gains a token in twenty seconds, so on any but a very slow machine that is exactly 123,456.
  const limit = limitOf({ requestsPerSecond: 0.05, burstRequests: 123_456 })
  const memory = LimitTable.allocate(8)
  const { results } = await inThreads(memory, 250_000, { kind: 'take', limits: [limit], keyCount: 1 })
  const gained = Math.floor(new LimitTable(memory).nowMs() / 20_000)
  t.ok(sum(results) >= 123_456 && sum(results) <= 123_456 + gained, `${sum(results)} were taken`)
  t.ok(results.filter(({ count }) => count > 0).length > 1, 'more than one thread took some')
})

t.test('of k tokens of a lease exactly k are taken by a million tries', async t => {
  const memory = LimitTable.allocate(8)
  const table = new LimitTable(memory)
  const line = table.claim(5, 6, 0, table.nowMs(), () => 0)
  const slots = new LeaseSlots(table)
  // Leases end within two seconds, which a slow machine may need for less than this; what is left over then is not lost.
  let admitted = 0
  slots.install(line, 5, 6, 54_321, table.nowMs(), 1000, 300, table.nowMs())
  const keepAlive = setInterval(() => Atomics.store(table.words, line + FIRST_OF_LEASE + 1, Math.floor(table.nowMs() + 1500) | 0), 20)
  for (let round = 0; round < 20 && admitted < 54_321; round++) {
    const { results } = await inThreads(memory, 250_000, { kind: 'lease', line, low: 5, high: 6 })
    admitted += sum(results)
  }
  clearInterval(keepAlive)
  t.equal(admitted, 54_321)
})

t.test('the promise holds over threads, for hot keys and for a table that is too small', async t => {
  for (const { desc, settings, slots, keyCount } of [
    { desc: 'one key', settings: { requestsPerSecond: 50_000, burstRequests: 500 }, slots: 8, keyCount: 1 },
    { desc: 'a burst of one', settings: { requestsPerSecond: 20_000, burstRequests: 1 }, slots: 8, keyCount: 1 },
    { desc: 'keys that take each other\'s slots', settings: { requestsPerSecond: 2000, burstRequests: 20 }, slots: 8, keyCount: 12 },
    { desc: 'many keys in a small table', settings: { requestsPerSecond: 100, burstRequests: 5 }, slots: 64, keyCount: 500 },
  ]) {
    const { results } = await inThreads(LimitTable.allocate(slots), 100_000, { kind: 'take', limits: [limitOf(settings)], keyCount })
    let highest = 0
    for (let key = 0; key < keyCount; key++) highest = Math.max(highest, highestLevel(admissionsOf(results, `0/${key}`), settings.requestsPerSecond))
    t.ok(sum(results) > 0 && highest <= settings.burstRequests + 1e-3, `${desc}: ${sum(results)} admitted, level ${highest} of ${settings.burstRequests}`)
  }
})

t.test('of several limits all or none are charged, over threads', async t => {
  const limits = [limitOf({ version: 'wide', requestsPerSecond: 0.02, burstRequests: 30_000 }), limitOf({ version: 'narrow', requestsPerSecond: 20_000, burstRequests: 50 })]
  const memory = LimitTable.allocate(8)
  const { results } = await inThreads(memory, 200_000, { kind: 'take', limits, keyCount: 1 })
  const admitted = sum(results)
  t.ok(highestLevel(admissionsOf(results, '1/0'), 20_000) <= 50 + 1e-3)
  t.ok(admitted > 50 && admitted <= 30_001, `${admitted} admitted`)
  // What the narrow limit denied is still in the wide one, all but what a race may have cost.
  const { results: rest } = await inThreads(memory, 20_000, { kind: 'take', limits: [limits[0]!], keyCount: 1 })
  t.ok(sum(rest) + admitted <= 30_000 + new LimitTable(memory).nowMs() / 50_000 && sum(rest) + admitted >= 30_000 * 0.99, `${sum(rest)} were left beside ${admitted}`)
})

t.test('concurrency: never more than allowed, and none is left behind', async t => {
  const memory = ConcurrencyTable.allocate(64)
  const { results } = await inThreads(memory, 100_000, { kind: 'concurrency', keyCount: 5, most: 3, isLeftOpen: false })
  const table = new ConcurrencyTable(memory)
  const seeds = table.seedsOf('v')
  t.ok(results.every(({ highest }) => highest <= 3) && results.some(({ highest }) => highest === 3))
  t.strictSame(Array.from({ length: 5 }, (_, key) => table.countOf(`${key}`, seeds)), [0, 0, 0, 0, 0])
})

t.test('concurrency: exactly as many as allowed, and what ended threads had is given back', async t => {
  const memory = ConcurrencyTable.allocate(8)
  const { results, threadIds } = await inThreads(memory, 10_000, { kind: 'concurrency', keyCount: 1, most: 1000, isLeftOpen: true })
  const table = new ConcurrencyTable(memory)
  const seeds = table.seedsOf('v')
  t.equal(sum(results), 1000)
  t.equal(table.countOf('0', seeds), 1000)
  const own = table.enter('0', seeds, 1001)
  t.ok(own > 0)
  for (const threadId of threadIds) table.releaseThread(threadId)
  t.equal(table.countOf('0', seeds), 1, 'that of a living thread is still there')
  table.leave(own)
  t.equal(table.countOf('0', seeds), 0)
})
