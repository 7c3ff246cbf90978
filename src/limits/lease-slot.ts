import { beatOf, FIRST_OF_LEASE, type LimitTable, LOCKED, WORD } from './limit-table.ts'

/** Words of a slot that holds a lease. Times are milliseconds of the table, modulo 2^32: see `aheadMs`. */
const EXPIRES_AT = FIRST_OF_LEASE // two of them, by the lowest bit of the generation
const DENIED_UNTIL = FIRST_OF_LEASE + 2
const RETRY_AT = FIRST_OF_LEASE + 3
const ASKING_UNTIL = FIRST_OF_LEASE + 4
/** Tokens that the generation at hand came with, merged ones included. */
const GRANTED = FIRST_OF_LEASE + 5
/** Tokens used and denied before this generation; wraps. */
const DEMAND = FIRST_OF_LEASE + 6
const SAMPLED_DEMAND = FIRST_OF_LEASE + 7
const SAMPLED_AT = FIRST_OF_LEASE + 8
/** Tokens a second, times 16. */
const RATE = FIRST_OF_LEASE + 9
/** Fewer tokens than that, and more are fetched. */
const LOW = FIRST_OF_LEASE + 10
/** Whole tokens that the authority had after the last grant. */
const LEFT = FIRST_OF_LEASE + 11

const MAX_TOKENS = 0xfffff
/** A lease is a second at most, an asking one and a bit. */
const MOST_AHEAD_MS = 2000
/** Time constant of the rate. */
const RATE_MS = 100
const RATE_UNIT = 16
const LOCKED_SPINS = 2000

export type LeaseTake = 'taken' | 'low' | 'empty' | 'gone'

/**
 * What a node has of the tokens of one key. The word is generation << 20 | tokens; a request takes of it by
 * compare-and-swap, so that of k tokens exactly k are taken, whatever the number of threads.
 */
export class LeaseSlots {
  readonly #table: LimitTable
  readonly #words: Int32Array
  /** Of the last `take` that took: what giving back needs. */
  generation = 0

  constructor(table: LimitTable) {
    this.#table = table
    this.#words = table.words
  }

  /** Takes `cost` tokens. `low`: taken, and more should be fetched. `gone`: the slot is another key's by now; nothing was taken. */
  take(line: number, low: number, high: number, cost: number, nowMs: number): LeaseTake {
    const words = this.#words
    for (let spins = 0; ;) {
      const word = Atomics.load(words, line + WORD)
      if (word === LOCKED) {
        if (++spins < LOCKED_SPINS) continue
        return 'gone'
      }
      const left = word & MAX_TOKENS
      if (left < cost || this.#lifeOf(line, word, nowMs) === 0) return 'empty'
      if (Atomics.compareExchange(words, line + WORD, word, word - cost) !== word) continue
      // Another key's by now: it has lost the tokens, and nothing was admitted for them.
      if (!this.#table.holds(line, low, high)) return 'gone'
      this.generation = word >>> 20
      return left - cost < Atomics.load(words, line + LOW) ? 'low' : 'taken'
    }
  }

  /** Gives back what another limit made useless. Into the generation it is from or not at all: then its time is its own. */
  giveBack(line: number, low: number, high: number, generation: number, cost: number): void {
    this.#table.withSlot(line, low, high, () => {
      for (;;) {
        const word = Atomics.load(this.#words, line + WORD)
        if (word >>> 20 !== generation) return
        if (Atomics.compareExchange(this.#words, line + WORD, word, word + cost) === word) return
      }
    })
  }

  /** Tokens at hand, and those of the authority as of its last reply. */
  remainingOf(line: number, nowMs: number): number {
    return this.tokensOf(line, nowMs) + this.#words[line + LEFT]!
  }

  tokensOf(line: number, nowMs: number): number {
    const word = Atomics.load(this.#words, line + WORD)
    return word === LOCKED || this.#lifeOf(line, word, nowMs) === 0 ? 0 : word & MAX_TOKENS
  }

  /**
   * Puts a grant into a slot. It joins what is left of the lease at hand, under the earlier end of that, where that lasts
   * longer than the tokens do; else it is a new generation, and what was left of the old one is dropped, never re-dated.
   */
  install(line: number, low: number, high: number, granted: number, sentMs: number, leaseMs: number, horizonMs: number, nowMs: number): void {
    const words = this.#words
    this.#table.withSlot(line, low, high, () => {
      for (;;) {
        const word = Atomics.load(words, line + WORD)
        const generation = word >>> 20
        const left = word & MAX_TOKENS
        if (left > 0 && this.#lifeOf(line, word, nowMs) >= horizonMs) {
          const added = Math.min(granted, MAX_TOKENS - left)
          if (Atomics.compareExchange(words, line + WORD, word, word + added) !== word) continue
          Atomics.add(words, line + GRANTED, added)
          return
        }
        const next = generation + 1 & 0x7ff
        Atomics.store(words, line + EXPIRES_AT + (next & 1), Math.floor(sentMs + leaseMs) | 0)
        this.#table.raiseIdleAt(line, beatOf(sentMs + leaseMs) + 1)
        if (Atomics.compareExchange(words, line + WORD, word, next << 20 | Math.min(granted, MAX_TOKENS)) !== word) continue
        Atomics.add(words, line + DEMAND, Atomics.load(words, line + GRANTED) - left)
        Atomics.store(words, line + GRANTED, Math.min(granted, MAX_TOKENS))
        return
      }
    })
  }

  /** The authority had too little: nobody asks again before `untilMs`; a client may try at `retryAtMs`. */
  markDenied(line: number, untilMs: number, retryAtMs: number): void {
    Atomics.store(this.#words, line + RETRY_AT, Math.ceil(retryAtMs) | 0)
    Atomics.store(this.#words, line + DENIED_UNTIL, Math.floor(untilMs) | 0)
  }

  isDenied(line: number, nowMs: number): boolean {
    return aheadMs(Atomics.load(this.#words, line + DENIED_UNTIL), nowMs, 3_600_000) > 0
  }

  retryAfterMs(line: number, nowMs: number): number {
    return aheadMs(Atomics.load(this.#words, line + RETRY_AT), nowMs, Infinity)
  }

  setLeft(line: number, tokens: number): void {
    Atomics.store(this.#words, line + LEFT, tokens)
  }

  countDenied(line: number, cost: number): void {
    Atomics.add(this.#words, line + DEMAND, cost)
  }

  /**
   * The right to ask for this slot, for one thread at a time; 0: another has it. It ends by itself after `holdMs`: who
   * had it may be gone.
   */
  beginAsking(line: number, nowMs: number, holdMs: number): number {
    const seen = Atomics.load(this.#words, line + ASKING_UNTIL)
    if (seen !== 0 && aheadMs(seen, nowMs, MOST_AHEAD_MS) > 0) return 0
    const until = Math.ceil(nowMs + holdMs) | 0 || 1
    if (Atomics.compareExchange(this.#words, line + ASKING_UNTIL, seen, until) !== seen) return 0
    this.#table.raiseIdleAt(line, beatOf(nowMs + holdMs) + 1)
    return until
  }

  isAsking(line: number, nowMs: number): boolean {
    const until = Atomics.load(this.#words, line + ASKING_UNTIL)
    return until !== 0 && aheadMs(until, nowMs, MOST_AHEAD_MS) > 0
  }

  endAsking(line: number, until: number): void {
    Atomics.compareExchange(this.#words, line + ASKING_UNTIL, until, 0)
  }

  /**
   * Tokens that the demand of late takes in `horizonMs`, rounded down. For who has the right to ask. `replyMs`: how long the
   * authority takes; so many tokens before the last the next question goes out. Earlier would leave more over to be dropped.
   */
  expect(line: number, nowMs: number, horizonMs: number, replyMs: number): number {
    const words = this.#words
    const left = Atomics.load(words, line + WORD) & MAX_TOKENS
    const demand = Atomics.load(words, line + DEMAND) + Atomics.load(words, line + GRANTED) - left | 0
    const now = Math.floor(nowMs) | 0
    const sampledAt = words[line + SAMPLED_AT]!
    const passedMs = now - sampledAt | 0
    let rate = words[line + RATE]! / RATE_UNIT
    if (sampledAt === 0 || passedMs >= 1 || passedMs < 0) {
      if (sampledAt !== 0 && passedMs > 0) {
        const newest = Math.max(0, demand - words[line + SAMPLED_DEMAND]! | 0) * 1000 / passedMs
        rate += (newest - rate) * (1 - Math.exp(-passedMs / RATE_MS))
      }
      words[line + SAMPLED_AT] = now || 1
      words[line + SAMPLED_DEMAND] = demand
      words[line + RATE] = Math.min(rate, 100_000_000) * RATE_UNIT
    }
    // Rounding up would leave tokens unused in every lease: it cost 6 % in the simulation.
    const expected = Math.floor(rate * horizonMs / 1000)
    Atomics.store(words, line + LOW, Math.min(expected >> 1, Math.ceil(rate * 2 * replyMs / 1000)))
    return expected
  }

  /** Milliseconds that what a word stands for is good for; 0: none. */
  #lifeOf(line: number, word: number, nowMs: number): number {
    return aheadMs(Atomics.load(this.#words, line + EXPIRES_AT + (word >>> 20 & 1)), nowMs, MOST_AHEAD_MS)
  }
}

/**
 * How far ahead a time is that was stored as a word, 0 when it is not. A word wraps after 49 days; nothing is ever stored
 * more than `mostMs` ahead, so that what seems to be further is long past.
 */
function aheadMs(stored: number, nowMs: number, mostMs: number): number {
  const ahead = stored - (Math.floor(nowMs) | 0) | 0
  return ahead > 0 && ahead <= mostMs ? ahead : 0
}
