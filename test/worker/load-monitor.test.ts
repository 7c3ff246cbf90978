import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { LoadMonitor } from '../../src/worker/load-monitor.ts'
import { ManualClock } from '../support/manual-clock.ts'

const LIMITS = { maxLagMs: 200, maxHeapRatio: 0.9 }

function monitorOf(t: Test, limits: typeof LIMITS | null = LIMITS) {
  const clock = new ManualClock()
  const heap = { ratio: 0.1, reads: 0 }
  const monitor = new LoadMonitor(clock, () => {
    heap.reads++
    return heap.ratio
  })
  monitor.configure(limits)
  t.teardown(() => monitor.stop())
  /** The loop is kept busy for so long; then the timer comes. */
  const stall = (lagMs: number): number => {
    clock.advance(20 + lagMs)
    monitor.sample()
    return monitor.level
  }
  /** Time goes by as it should. */
  const rest = (ms: number): number => {
    for (let passed = 0; passed < ms; passed += 20) stall(0)
    return monitor.level
  }
  return { monitor, heap, stall, rest }
}

for (const { desc, lagMs, want } of [
  { desc: 'no lag', lagMs: 0, want: 0 },
  { desc: 'just the limit', lagMs: 200, want: 0 },
  { desc: 'more than the limit', lagMs: 201, want: 1 },
  { desc: 'more than twice', lagMs: 401, want: 2 },
  { desc: 'more than four times', lagMs: 801, want: 3 },
  { desc: 'an hour', lagMs: 3_600_000, want: 3 },
]) {
  t.test(`${desc}: level ${want} at once`, async t => {
    t.equal(monitorOf(t).stall(lagMs), want)
  })
}

t.test('a level is left below 0.7 of what it was entered at', async t => {
  const { monitor, stall } = monitorOf(t)
  stall(210)
  for (let i = 0; i < 50; i++) t.equal(stall(150), 1)
  t.equal(stall(0), 1)
  for (let i = 0; i < 50; i++) stall(130)
  t.equal(monitor.level, 0)
  t.ok(monitor.lagMs < 140)
})

t.test('the lag decays by halves, and the level step by step', async t => {
  const { monitor, stall, rest } = monitorOf(t)
  t.equal(stall(1000), 3)
  t.equal(rest(400), 3)
  t.equal(rest(100), 2)
  t.ok(Math.abs(monitor.lagMs - 500) < 1)
  t.equal(rest(500), 1)
  t.equal(rest(500), 0)
})

t.test('a long sleep is forgotten within two seconds', async t => {
  const { stall, rest } = monitorOf(t)
  stall(8 * 3_600_000)
  t.equal(rest(2000), 0)
})

t.test('a full heap is level 2, seen within a second, and left when a tenth is free again', async t => {
  const { heap, stall, rest } = monitorOf(t)
  t.equal(rest(1000), 0)
  heap.ratio = 0.91
  t.equal(rest(1000), 2)
  heap.ratio = 0.85
  t.equal(rest(1000), 2)
  t.equal(stall(900), 3, 'a lag above it counts')
  rest(2000)
  heap.ratio = 0.8
  t.equal(rest(1000), 0)
})

t.test('the heap is looked at once a second', async t => {
  const { heap, rest } = monitorOf(t)
  rest(10_000)
  t.ok(heap.reads >= 9 && heap.reads <= 11, `${heap.reads} times`)
})

t.test('without limits nothing is measured, and the level is 0', async t => {
  const { monitor, heap, stall } = monitorOf(t)
  stall(1000)
  monitor.configure(null)
  t.equal(monitor.level, 0)
  const before = heap.reads
  t.equal(stall(5000), 0)
  t.equal(heap.reads, before)
  monitor.configure(LIMITS)
  t.equal(stall(0), 0, 'the time in between is no lag')
})

t.test('other limits hold at the next sample', async t => {
  const { monitor, stall } = monitorOf(t)
  t.equal(stall(150), 0)
  monitor.configure({ maxLagMs: 100, maxHeapRatio: 0.9 })
  t.equal(stall(150), 1)
})

t.test('in a worker thread: sees a busy loop and its own heap, and keeps no thread alive', async t => {
  const worker = new Worker(new URL('../support/stalling-worker.js', import.meta.url))
  const [seen] = await once(worker, 'message') as [{ level: number; heapRatio: number }]
  t.ok(seen.level >= 1)
  t.ok(seen.heapRatio > 0 && seen.heapRatio < 1)
  t.equal((await once(worker, 'exit'))[0], 0)
})
