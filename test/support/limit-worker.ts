import { parentPort, workerData } from 'node:worker_threads'
import { ConcurrencyTable } from '../../src/limits/concurrency-table.ts'
import { LeaseSlots } from '../../src/limits/lease-slot.ts'
import type { LimitSettings } from '../../src/limits/limit-settings.ts'
import { LimitTable } from '../../src/limits/limit-table.ts'
import { EmbeddedLimiter } from '../../src/limits/limiter.ts'
import { Random } from './random.ts'

/** What a thread of a test of limits does, with others at the same memory. */
export type LimitJob = {
  readonly memory: SharedArrayBuffer
  /** Set by the test when all threads are ready. */
  readonly start: SharedArrayBuffer
  readonly seed: number
  readonly tries: number
  readonly task:
    | { readonly kind: 'take'; readonly limits: readonly LimitSettings[]; readonly keyCount: number }
    | { readonly kind: 'lease'; readonly line: number; readonly low: number; readonly high: number }
    | { readonly kind: 'concurrency'; readonly keyCount: number; readonly most: number; readonly isLeftOpen: boolean }
}

/** Admissions by key and limit: the times, on the clock of the table. Of leases only a count, in `0`. */
export type LimitJobResult = { readonly admissions: Readonly<Record<string, readonly number[]>>; readonly count: number; readonly highest: number }

/** Tells what time the limiter saw: that is what the promise is about. */
class WatchedTable extends LimitTable {
  readMs = 0

  override nowMs(): number {
    this.readMs = super.nowMs()
    return this.readMs
  }
}

const job = workerData as LimitJob
const start = new Int32Array(job.start)
Atomics.add(start, 0, 1)
Atomics.wait(start, 1, 0)
parentPort!.postMessage(run(job))

function run({ memory, seed, tries, task }: LimitJob): LimitJobResult {
  const random = new Random(seed)
  const admissions: Record<string, number[]> = {}
  let count = 0
  let highest = 0
  if (task.kind === 'lease') {
    const table = new LimitTable(memory)
    const slots = new LeaseSlots(table)
    for (let i = 0; i < tries; i++) {
      const taken = slots.take(task.line, task.low, task.high, 1, table.nowMs())
      if (taken === 'taken' || taken === 'low') count++
    }
  } else if (task.kind === 'take') {
    const table = new WatchedTable(memory)
    const limiter = new EmbeddedLimiter(table, task.limits, () => {})
    for (let i = 0; i < tries; i++) {
      const keys = task.limits.map((_, index) => `${index === 0 ? random.below(task.keyCount) : 0}`)
      if (limiter.take(keys).outcome !== 'admitted') continue
      count++
      keys.forEach((key, index) => (admissions[`${index}/${key}`] ??= []).push(table.readMs))
    }
  } else {
    const table = new ConcurrencyTable(memory)
    const seeds = table.seedsOf('v')
    const places: { line: number; key: string }[] = []
    for (let i = 0; i < tries; i++) {
      const key = `${random.below(task.keyCount)}`
      const line = table.enter(key, seeds, task.most)
      if (line !== 0) {
        count++
        highest = Math.max(highest, table.countOf(key, seeds))
        places.push({ line, key })
      }
      if (!task.isLeftOpen && places.length > random.below(4)) table.leave(places.splice(random.below(places.length), 1)[0]!.line)
    }
    if (!task.isLeftOpen) for (const { line } of places) table.leave(line)
  }
  return { admissions, count, highest }
}
