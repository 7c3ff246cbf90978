import { threadId } from 'node:worker_threads'

export const SLOTS_A_GROUP = 8

/** Of the header, in words: what the memory is, so that every thread reads it the same way. */
const GROUPS = 0
const LINE_WORDS = 1
export const SEED_0 = 2
export const SEED_1 = 3
/** Byte at which a header holds a Float64 of its owner's. */
export const HEADER_FLOAT_BYTES = 32
const HEADER_WORDS = 16

/** Of a group: eight pairs of hashes in one cache line, then a line with these, then a line or more a slot. */
const LOCK = 16
export const WATERMARK = 17
const LINES = 32

/** About 10 µs. What a lock guards takes a tenth of one, so a longer wait means that its holder is not running. */
const SPINS = 2000

/**
 * Places for keys in shared memory: groups of eight slots; a key stands in the group that its hash names, or nowhere. What
 * a slot holds beyond its key is its owner's: a line of words, the first of which is taken by compare-and-swap.
 *
 * Looking a key up takes no lock. Giving it a place does, a lock of its group alone, so that two threads can't give it two.
 * All indexes are in words of `words`; 0 is none, since the header is there.
 */
export class SlotGroups {
  readonly words: Int32Array
  readonly lineWords: number
  readonly #mask: number
  readonly #stride: number

  static allocate(slots: number, lineWords: number): SharedArrayBuffer {
    const groups = 2 ** Math.max(0, Math.ceil(Math.log2(slots / SLOTS_A_GROUP)))
    const memory = new SharedArrayBuffer((HEADER_WORDS + groups * (LINES + SLOTS_A_GROUP * lineWords)) * 4)
    const words = new Int32Array(memory)
    words[GROUPS] = groups
    words[LINE_WORDS] = lineWords
    return memory
  }

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
    this.lineWords = this.words[LINE_WORDS]!
    this.#mask = this.words[GROUPS]! - 1
    this.#stride = LINES + SLOTS_A_GROUP * this.lineWords
  }

  get groupCount(): number {
    return this.#mask + 1
  }

  /** Where the group of a key starts. */
  groupOf(low: number): number {
    return HEADER_WORDS + (low & this.#mask) * this.#stride
  }

  groupAt(index: number): number {
    return HEADER_WORDS + index * this.#stride
  }

  lineOf(group: number, slot: number): number {
    return group + LINES + slot * this.lineWords
  }

  /** The line of a key; 0 when it has none. It may be another key's a moment later: see `holds`. */
  find(low: number, high: number): number {
    const { words } = this
    const group = this.groupOf(low)
    for (let slot = 0; slot < SLOTS_A_GROUP; slot++) {
      if (words[group + 2 * slot] === low && words[group + 2 * slot + 1] === high) return this.lineOf(group, slot)
    }
    return 0
  }

  /** Whether a line is this key's still. A key that lost its place and got the same one back counts as never gone. */
  holds(line: number, low: number, high: number): boolean {
    const group = this.groupOf(low)
    const at = group + 2 * ((line - group - LINES) / this.lineWords)
    return Atomics.load(this.words, at) === low && Atomics.load(this.words, at + 1) === high
  }

  isEmpty(group: number, slot: number): boolean {
    return this.words[group + 2 * slot] === 0
  }

  /** Under the lock of the group. The low word goes last: who finds it finds the pair. */
  name(group: number, slot: number, low: number, high: number): void {
    Atomics.store(this.words, group + 2 * slot, 0)
    Atomics.store(this.words, group + 2 * slot + 1, high)
    Atomics.store(this.words, group + 2 * slot, low)
  }

  /** False when another thread holds it for longer than it should: it was preempted, or is gone (see `unlockThread`). */
  lock(group: number): boolean {
    const owner = threadId + 1
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.compareExchange(this.words, group + LOCK, 0, owner) === 0) return true
    }
    return false
  }

  unlock(group: number): void {
    Atomics.store(this.words, group + LOCK, 0)
  }

  /**
   * Takes the locks that a thread held when it ended away; `repair` is called for each, before it is free. Only for
   * threads that have ended: one that is merely slow would go on as if it had its lock.
   */
  unlockThread(endedThreadId: number, repair: (group: number) => void): void {
    for (let index = 0; index < this.groupCount; index++) {
      const group = this.groupAt(index)
      if (Atomics.load(this.words, group + LOCK) !== endedThreadId + 1) continue
      repair(group)
      this.unlock(group)
    }
  }
}
