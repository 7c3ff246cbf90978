import { randomFillSync } from 'node:crypto'
import { threadId } from 'node:worker_threads'
import { HASH, hashKey } from './keyed-hash.ts'
import { SEED_0, SEED_1, SLOTS_A_GROUP, SlotGroups } from './slot-groups.ts'

/** Keys with requests under way at the same time; 10 MB with up to 15 threads. */
export const DEFAULT_CONCURRENCY_SLOTS = 65_536

/** Of a line: the count of all threads, then each thread's share of it. */
const TOTAL = 0
const SHARES = 1
const LOCKED = -2_147_483_648
const TRIES = 4
const LOCKED_SPINS = 2000
/** The header ends with a list of the threads: those that fit in a line. */
const CACHE_LINE_WORDS = 16

/**
 * Counts what is under way by key, exact over all threads of a process; each node counts by itself. A slot whose count is 0
 * can be another key's at any time, one with a count can't.
 *
 * Each thread keeps its own share of a count beside it, so that what a thread had under way when it ended is given back.
 */
export class ConcurrencyTable {
  readonly #groups: SlotGroups
  readonly #words: Int32Array
  readonly #threads: Int32Array
  /** Where in a line this thread keeps its share; 0: there are more threads than the memory was made for. */
  readonly #share: number

  /** `threads`: how many may use it at a time, the ended ones that were not released included. */
  static allocate(slots = DEFAULT_CONCURRENCY_SLOTS, threads = 15): SharedArrayBuffer {
    const lineWords = CACHE_LINE_WORDS * Math.ceil((SHARES + threads) / CACHE_LINE_WORDS)
    const groups = SlotGroups.allocate(slots, lineWords)
    // Behind the groups: which thread keeps which share.
    const memory = new SharedArrayBuffer(groups.byteLength + (lineWords - SHARES) * 4)
    const words = new Int32Array(memory)
    words.set(new Int32Array(groups, 0, CACHE_LINE_WORDS))
    const seeds = new Int32Array(2)
    randomFillSync(seeds)
    words.set(seeds, SEED_0)
    return memory
  }

  /** Takes a share for this thread; the same one when it is called again. */
  constructor(memory: SharedArrayBuffer) {
    this.#groups = new SlotGroups(memory)
    this.#words = this.#groups.words
    const shares = this.#groups.lineWords - SHARES
    this.#threads = new Int32Array(memory, memory.byteLength - shares * 4, shares)
    this.#share = this.#takeShare(threadId)
  }

  /** Seeds under which the keys of one limit are hashed. */
  seedsOf(version: string): readonly [number, number] {
    hashKey(version, this.#words[SEED_0]!, this.#words[SEED_1]!)
    return [HASH[0]!, HASH[1]!]
  }

  /**
   * Counts one more of a key, unless `most` are under way already. The place to give to `leave`, once; 0: not counted,
   * also when there is no slot for it: then eight other keys of its group have requests under way.
   */
  enter(key: string, [seed0, seed1]: readonly [number, number], most: number): number {
    const words = this.#words
    if (this.#share === 0) return 0
    hashKey(key, seed0, seed1)
    const low = HASH[0]!
    const high = HASH[1]!
    for (let tries = 0, spins = 0; tries < TRIES;) {
      const line = this.#groups.find(low, high) || this.#claim(low, high)
      if (line === 0) return 0
      const count = Atomics.load(words, line + TOTAL)
      if (count === LOCKED && ++spins < LOCKED_SPINS) continue
      if (count !== LOCKED && count < most) {
        // The share goes first: should this thread end in between, a count too few is mended by the next `leave`, one too many never.
        Atomics.add(words, line + this.#share, 1)
        if (Atomics.compareExchange(words, line + TOTAL, count, count + 1) !== count) {
          Atomics.sub(words, line + this.#share, 1)
          continue
        }
        if (this.#groups.holds(line, low, high)) return line
        this.leave(line)
      } else if (count !== LOCKED && this.#groups.holds(line, low, high)) {
        return 0
      }
      tries++
    }
    return 0
  }

  leave(line: number): void {
    lower(this.#words, line + TOTAL, 1)
    Atomics.sub(this.#words, line + this.#share, 1)
  }

  /** How many of a key are under way. */
  countOf(key: string, [seed0, seed1]: readonly [number, number]): number {
    hashKey(key, seed0, seed1)
    const line = this.#groups.find(HASH[0]!, HASH[1]!)
    return line === 0 ? 0 : Math.max(0, Atomics.load(this.#words, line + TOTAL))
  }

  /** For the primary, when a worker has ended: gives back what it had under way. Walks over all slots. */
  releaseThread(endedThreadId: number): void {
    const index = this.#threads.indexOf(endedThreadId + 1)
    const words = this.#words
    this.#groups.unlockThread(endedThreadId, group => {
      for (let slot = 0; slot < SLOTS_A_GROUP; slot++) {
        const line = this.#groups.lineOf(group, slot)
        if (Atomics.load(words, line + TOTAL) !== LOCKED) continue
        this.#groups.name(group, slot, 0, 0)
        Atomics.store(words, line + TOTAL, 0)
      }
    })
    if (index === -1) return
    for (let at = 0; at < this.#groups.groupCount; at++) {
      for (let slot = 0; slot < SLOTS_A_GROUP; slot++) {
        const line = this.#groups.lineOf(this.#groups.groupAt(at), slot)
        const share = Atomics.exchange(words, line + SHARES + index, 0)
        if (share > 0) lower(words, line + TOTAL, share)
      }
    }
    Atomics.store(this.#threads, index, 0)
  }

  #claim(low: number, high: number): number {
    const groups = this.#groups
    const group = groups.groupOf(low)
    if (!groups.lock(group)) return 0
    let line = groups.find(low, high)
    for (let slot = 0; slot < SLOTS_A_GROUP && line === 0; slot++) {
      const candidate = groups.lineOf(group, slot)
      if (Atomics.compareExchange(this.#words, candidate + TOTAL, 0, LOCKED) !== 0) continue
      groups.name(group, slot, low, high)
      Atomics.store(this.#words, candidate + TOTAL, 0)
      line = candidate
    }
    groups.unlock(group)
    return line
  }

  #takeShare(thread: number): number {
    const known = this.#threads.indexOf(thread + 1)
    if (known !== -1) return SHARES + known
    for (let index = 0; index < this.#threads.length; index++) {
      if (Atomics.compareExchange(this.#threads, index, 0, thread + 1) === 0) return SHARES + index
    }
    return 0
  }
}

/** Never below 0: see `enter`. */
function lower(words: Int32Array, index: number, by: number): void {
  for (;;) {
    const count = Atomics.load(words, index)
    if (count <= 0) return
    if (Atomics.compareExchange(words, index, count, Math.max(0, count - by)) === count) return
  }
}
