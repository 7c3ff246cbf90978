import { randomFillSync } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { HASH, hashKey } from './keyed-hash.ts'
import { sharedClock } from './shared-clock.ts'
import { HEADER_FLOAT_BYTES, SEED_0, SEED_1, SLOTS_A_GROUP, SlotGroups, WATERMARK } from './slot-groups.ts'

/** 20 MB: keys that can be in use at the same time, in all limits together. */
export const DEFAULT_SLOTS = 262_144

/** A slot's words; a line of the cache each. The word itself is a bucket's or a lease's. */
export const WORD = 0
/** Beat from which nothing is lost with the slot: its bucket is full, its lease over. Only ever raised while a key holds it. */
export const IDLE_AT = 1
/** 1: a token bucket, whose debt has to outlive its slot; 0: a lease, whose debt is the authority's. */
export const KIND = 2
/** What a lease keeps; see lease-slot.ts. */
export const FIRST_OF_LEASE = 3
export const LINE_WORDS = 16

/** A word that is about to be another key's. */
export const LOCKED = -2_147_483_648

/** A coarse time that fits in a word for two years: a 32nd of a second since the memory was made. */
const BEAT_MS = 31.25

export const beatOf = (ms: number): number => Math.floor(ms / BEAT_MS) | 0
export const msOfBeat = (beat: number): number => beat * BEAT_MS

/**
 * The buckets and leases of all limits and keys of one process, in memory that its threads share. It is bounded: when eight
 * slots of a group are in use, the one that is idle soonest loses its key.
 *
 * A slot that is lost loses its tokens. For a lease that is all. A token bucket that came back full would be a second
 * burst, so its group keeps a watermark: the latest time at which a lost bucket would have been full. A newcomer of the
 * group counts as used so far that it is full then, or empty. So the promise holds under any number of keys; what
 * suffers are new keys, while there are more of them in use than slots.
 */
export class LimitTable {
  readonly words: Int32Array
  readonly groups: SlotGroups
  readonly #clock: Clock
  readonly #originMs: number

  /** `slots`: rounded up to a power of two, at least 8; 80 bytes each. */
  static allocate(slots = DEFAULT_SLOTS, clock = sharedClock): SharedArrayBuffer {
    const memory = SlotGroups.allocate(slots, LINE_WORDS)
    const seeds = new Int32Array(2)
    randomFillSync(seeds)
    new Int32Array(memory).set(seeds, SEED_0)
    new Float64Array(memory, HEADER_FLOAT_BYTES, 1)[0] = clock.nowMs()
    return memory
  }

  /** `clock`: the one it was allocated with. */
  constructor(memory: SharedArrayBuffer, clock = sharedClock) {
    this.groups = new SlotGroups(memory)
    this.words = this.groups.words
    this.#clock = clock
    this.#originMs = new Float64Array(memory, HEADER_FLOAT_BYTES, 1)[0]!
  }

  /** Milliseconds since the memory was made, with fractions; the same for all threads. */
  nowMs(): number {
    return this.#clock.nowMs() - this.#originMs
  }

  /** Seeds under which the keys of one version of one limit are hashed: another version, other slots. */
  seedsOf(version: string): readonly [number, number] {
    hashKey(version, this.words[SEED_0]!, this.words[SEED_1]!)
    return [HASH[0]!, HASH[1]!]
  }

  find(low: number, high: number): number {
    return this.groups.find(low, high)
  }

  holds(line: number, low: number, high: number): boolean {
    return this.groups.holds(line, low, high)
  }

  /**
   * The line of a key, a new one if it has none. `init` is called for a new one before anyone sees it, with the beat until
   * which lost buckets of the group would not have been full; it returns the first word. 0 when the lock was not to be had.
   */
  claim(low: number, high: number, kind: 0 | 1, nowMs: number, init: (line: number, watermark: number) => number): number {
    const { words, groups } = this
    const group = groups.groupOf(low)
    if (!groups.lock(group)) return 0
    let line = groups.find(low, high)
    if (line === 0) {
      const slot = this.#victimOf(group)
      line = groups.lineOf(group, slot)
      this.#evict(group, slot, line, nowMs)
      words.fill(0, line + IDLE_AT, line + LINE_WORDS)
      Atomics.store(words, line + KIND, kind)
      Atomics.store(words, line + IDLE_AT, beatOf(nowMs))
      const word = init(line, Atomics.load(words, group + WATERMARK))
      groups.name(group, slot, low, high)
      Atomics.store(words, line + WORD, word)
    }
    groups.unlock(group)
    return line
  }

  /** Runs `change` where no slot of the key's group can be lost; false, and nothing done, when the lock was not to be had or the slot is gone. */
  withSlot(line: number, low: number, high: number, change: (line: number) => void): boolean {
    const group = this.groups.groupOf(low)
    if (!this.groups.lock(group)) return false
    const isHeld = this.groups.holds(line, low, high)
    if (isHeld) change(line)
    this.groups.unlock(group)
    return isHeld
  }

  /** Stands before the word is taken: who sees the word sees at least this beat. */
  raiseIdleAt(line: number, beat: number): void {
    raise(this.words, line + IDLE_AT, beat)
  }

  /** For the primary, when a worker has ended: what it was about to do in its last microsecond is put in order. */
  releaseThread(endedThreadId: number): void {
    this.groups.unlockThread(endedThreadId, group => {
      for (let slot = 0; slot < SLOTS_A_GROUP; slot++) {
        const line = this.groups.lineOf(group, slot)
        if (Atomics.load(this.words, line + WORD) !== LOCKED) continue
        raise(this.words, group + WATERMARK, Atomics.load(this.words, line + IDLE_AT))
        this.groups.name(group, slot, 0, 0)
        Atomics.store(this.words, line + WORD, 0)
      }
    })
  }

  #victimOf(group: number): number {
    let victim = 0
    for (let slot = 0; slot < SLOTS_A_GROUP; slot++) {
      if (this.groups.isEmpty(group, slot)) return slot
      const beat = Atomics.load(this.words, this.groups.lineOf(group, slot) + IDLE_AT)
      const least = Atomics.load(this.words, this.groups.lineOf(group, victim) + IDLE_AT)
      if ((beat - least | 0) < 0) victim = slot
    }
    return victim
  }

  /** Takes the word first: what was admitted until then has raised IDLE_AT, and what comes later fails. */
  #evict(group: number, slot: number, line: number, nowMs: number): void {
    const { words } = this
    Atomics.exchange(words, line + WORD, LOCKED)
    if (this.groups.isEmpty(group, slot) || words[line + KIND] === 0) return
    const beat = Atomics.load(words, line + IDLE_AT)
    if ((beat - beatOf(nowMs) | 0) > 0) raise(words, group + WATERMARK, beat)
  }
}

function raise(words: Int32Array, index: number, value: number): void {
  let seen = Atomics.load(words, index)
  while ((value - seen | 0) > 0) {
    const found = Atomics.compareExchange(words, index, seen, value)
    if (found === seen) return
    seen = found
  }
}
