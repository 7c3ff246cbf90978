import { HASH, hashKey } from './keyed-hash.ts'
import { beatOf, IDLE_AT, type LimitTable, LOCKED, msOfBeat, WORD } from './limit-table.ts'

export type BucketSettings = {
  /** Another one is another bucket for every key. */
  readonly version: string
  /** > 0, up to 1,000,000; fractions allowed. */
  readonly requestsPerSecond: number
  /** Tokens; integer from 1 to 1,000,000. */
  readonly burstRequests: number
  /** Tokens a request takes; integer from 1 to `burstRequests`. */
  readonly cost: number
}

/** What a thread without its lock may be told to wait for. */
export const BUSY_MS = 10
/** How far the clocks of two threads may be apart, and then some. */
const SKEW_MS = 1
/** What a sum of times of a few days may be off by: who waited just as long as told is not sent away once more. */
const NOISE_TICKS = 1 / 64
/** Half a year, well within the beats of a word: a bucket that takes longer to fill counts as full then. The document allows 30 days. */
const MAX_FILL_MS = 180 * 86_400_000
const TRIES = 4
const LOCKED_SPINS = 2000

/**
 * A token bucket a key, exact over all threads, without a lock on the way: the generic cell rate algorithm, whose state
 * is one number, the time at which the bucket is full again (`tat`). A request of n tokens is admitted when
 * max(tat, now) + n <= now + burst, and moves tat there; each a token's time, 1/R. So admitted(t1, t2] <= B + R·(t2 − t1):
 * the first admission after t1 leaves tat > t1 + n, each one adds its n, and the last one leaves tat <= t2 + B.
 * That holds in the order in which the word was swapped and with each thread's own clock.
 *
 * The number is a word of 32 bits, in ticks of 2^-shift tokens, modulo 2^32. Rounding is upwards, at an idle bucket
 * only, so it never adds a token and takes no rate; a tick is 2^-6 tokens at a million a
 * second and a millionth of one at a hundred. IDLE_AT tells a word from before the last wrap.
 *
 * Calls come in this order, with nothing between them: `locate`, then `charge` (or `canCharge` first), then perhaps `undo`.
 *
 * Source: ITU-T I.371 (GCRA, virtual scheduling).
 */
export class TokenBucket {
  /** Of the last `charge` or `canCharge`: whole tokens left. */
  remaining = 0
  /** Until the bucket is full. */
  fullInMs = 0
  /** Where it said no: when it will say yes if nobody else asks. */
  retryAfterMs = 0
  readonly #table: LimitTable
  readonly #words: Int32Array
  readonly #seed0: number
  readonly #seed1: number
  readonly #ticksAToken: number
  readonly #ticksAMs: number
  readonly #burstTicks: number
  readonly #costTicks: number
  #low = 0
  #high = 0
  #line = 0
  #before = 0
  #after = 0
  #baseTicks = 0

  constructor(table: LimitTable, { version, requestsPerSecond, burstRequests, cost }: BucketSettings) {
    this.#table = table
    this.#words = table.words
    ;[this.#seed0, this.#seed1] = table.seedsOf(version)
    // Debt and idle time up to a few beats lie well within half of the words.
    const shift = Math.floor(28 - Math.log2(Math.max(burstRequests, 4 * requestsPerSecond)))
    this.#ticksAToken = 2 ** shift
    this.#ticksAMs = requestsPerSecond * this.#ticksAToken / 1000
    this.#burstTicks = burstRequests * this.#ticksAToken
    this.#costTicks = cost * this.#ticksAToken
  }

  locate(key: string): void {
    hashKey(key, this.#seed0, this.#seed1)
    this.#low = HASH[0]!
    this.#high = HASH[1]!
    this.#line = this.#table.find(this.#low, this.#high)
  }

  /** Whether `charge` would say yes now; nothing is taken. */
  canCharge(nowMs: number): boolean {
    if (this.#line === 0) return this.#report(0, this.#costTicks)
    const nowTicks = nowMs * this.#ticksAMs
    const word = Atomics.load(this.#words, this.#line + WORD)
    return word === LOCKED || this.#report(this.#debtOf(this.#line, word, nowTicks, nowMs), this.#costTicks)
  }

  /** Takes the cost; false, with nothing taken, when the bucket has less. */
  charge(nowMs: number): boolean {
    const words = this.#words
    const nowTicks = nowMs * this.#ticksAMs
    for (let tries = 0; tries < TRIES; tries++) {
      const line = this.#line === 0 ? this.#claim(nowMs) : this.#line
      if (line === 0) break
      for (let spins = 0; ;) {
        const word = Atomics.load(words, line + WORD)
        if (word === LOCKED) {
          if (++spins < LOCKED_SPINS) continue
          break
        }
        const debt = this.#debtOf(line, word, nowTicks, nowMs)
        if (!this.#report(debt, this.#costTicks)) {
          if (this.#table.holds(line, this.#low, this.#high)) return false
          break
        }
        // Of a bucket that is in debt the sum is exact; what is rounded is the time, and only where it was full.
        const next = unlocked(debt === 0 ? Math.ceil(nowTicks) + this.#costTicks | 0 : word + this.#costTicks | 0)
        this.#table.raiseIdleAt(line, idleBeat(nowMs, (debt + this.#costTicks) / this.#ticksAMs))
        if (Atomics.compareExchange(words, line + WORD, word, next) !== word) continue
        // Another key's by now: it has lost the tokens, and nothing was admitted for them.
        if (!this.#table.holds(line, this.#low, this.#high)) break
        this.#line = line
        this.#before = debt === 0 ? unlocked(Math.ceil(nowTicks) | 0) : word
        this.#after = next
        this.#baseTicks = nowTicks + debt
        return this.#report(debt + this.#costTicks, 0)
      }
      this.#line = this.#table.find(this.#low, this.#high)
    }
    this.remaining = 0
    this.retryAfterMs = this.fullInMs = BUSY_MS
    return false
  }

  /**
   * Gives back what the last `charge` took, for a request that another limit denied. Where nobody charged in between,
   * the word is put back. Else what is given back is the cost less what the bucket would have gained and spilled since, had
   * nothing been taken: without that, a charge given back to a bucket that has filled meanwhile would be a second
   * burst. (Had it not been charged, tat would be lower by at most the cost; each moment past the old tat makes that less.)
   */
  undo(nowMs: number): void {
    const words = this.#words
    this.#table.withSlot(this.#line, this.#low, this.#high, line => {
      if (Atomics.compareExchange(words, line + WORD, this.#after, this.#before) === this.#after) return
      const spilled = Math.max(0, (nowMs + SKEW_MS) * this.#ticksAMs - this.#baseTicks)
      const back = Math.floor(this.#costTicks - spilled)
      while (back > 0) {
        const word = Atomics.load(words, line + WORD)
        if (Atomics.compareExchange(words, line + WORD, word, unlocked(word - back | 0)) === word) return
      }
    })
  }

  /** How far the bucket is from full, in ticks: 0 is full. May be above the burst, where the clocks of threads differ. */
  #debtOf(line: number, word: number, nowTicks: number, nowMs: number): number {
    if ((Atomics.load(this.#words, line + IDLE_AT) - beatOf(nowMs) | 0) <= 0) return 0
    const nowFloor = Math.floor(nowTicks)
    return Math.max(0, (word - nowFloor | 0) - (nowTicks - nowFloor))
  }

  #report(debt: number, costTicks: number): boolean {
    const room = this.#burstTicks - debt
    this.remaining = room <= 0 ? 0 : Math.floor(room / this.#ticksAToken)
    this.fullInMs = debt / this.#ticksAMs
    const missing = costTicks - room
    this.retryAfterMs = Math.max(0, missing / this.#ticksAMs)
    return missing <= NOISE_TICKS
  }

  #claim(nowMs: number): number {
    return this.#table.claim(this.#low, this.#high, 1, nowMs, (line, watermark) => {
      const lostMs = (watermark - beatOf(nowMs) | 0) <= 0 ? 0 : msOfBeat(watermark) - nowMs
      const debt = Math.min(this.#burstTicks, Math.ceil(lostMs * this.#ticksAMs))
      if (debt > 0) this.#table.raiseIdleAt(line, idleBeat(nowMs, debt / this.#ticksAMs))
      return unlocked(Math.floor(nowMs * this.#ticksAMs) + debt | 0)
    })
  }
}

/** From when a bucket is full for every thread's clock. */
function idleBeat(nowMs: number, fullInMs: number): number {
  return beatOf(nowMs + Math.min(fullInMs, MAX_FILL_MS)) + 2
}

/** A tick later rather than the word that means a lock. */
function unlocked(word: number): number {
  return word === LOCKED ? word + 1 : word
}
