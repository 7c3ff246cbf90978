import { createHash } from 'node:crypto'

/** Slots that a nonce may stand in: with a quarter of the table filled, one in a billion finds them all taken. */
const WINDOW = 32
const SLOTS_PER_NONCE = 4

export type NonceClaim = 'fresh' | 'seen' | 'full'

/** As many bytes as a table for `maxNonces` takes; a power of two. */
export function nonceTableBytes(maxNonces: number): number {
  return 8 * 2 ** Math.ceil(Math.log2(Math.max(WINDOW, maxNonces * SLOTS_PER_NONCE)))
}

/**
 * Nonces that were used, in memory that all workers can share: a replay that meets another worker is one all the same.
 * A slot is one 64-bit word: 32 bits of the nonce's digest over 32 bits of the second at which it may be forgotten. Of
 * two claims of one nonce at the same time at most one is fresh; both may be refused. That two nonces are taken for the
 * same one happens once in a hundred million, and refuses a request.
 */
export class NonceTable {
  readonly #slots: BigUint64Array

  /** `memory`: of `nonceTableBytes`, zero at first. */
  constructor(memory: SharedArrayBuffer) {
    this.#slots = new BigUint64Array(memory)
  }

  /** Takes a nonce until `untilMs`; both times are epoch, ms. `full`: it could not be kept, so it must not be admitted. */
  claim(nonce: string, nowMs: number, untilMs: number): NonceClaim {
    const digest = createHash('sha256').update(nonce).digest()
    const start = digest.readUInt32LE(0)
    const print = BigInt(digest.readUInt32LE(4)) << 32n
    const nowSeconds = BigInt(Math.floor(nowMs / 1000))
    const word = print | BigInt(Math.ceil(untilMs / 1000) + 1)
    for (;;) {
      let free = -1
      let freeWord = 0n
      for (let i = 0; i < WINDOW; i++) {
        const at = (start + i) & (this.#slots.length - 1)
        const held = Atomics.load(this.#slots, at)
        if (!isLive(held, nowSeconds)) {
          if (free < 0) {
            free = at
            freeWord = held
          }
        } else if (isSame(held, print)) return 'seen'
      }
      if (free < 0) return 'full'
      if (Atomics.compareExchange(this.#slots, free, freeWord, word) !== freeWord) continue
      return this.#hasTwin(start, print, nowSeconds, free) ? 'seen' : 'fresh'
    }
  }

  /** Another thread, whose clock freed another slot, may have taken the same nonce meanwhile. */
  #hasTwin(start: number, print: bigint, nowSeconds: bigint, own: number): boolean {
    for (let i = 0; i < WINDOW; i++) {
      const at = (start + i) & (this.#slots.length - 1)
      const held = Atomics.load(this.#slots, at)
      if (at !== own && isLive(held, nowSeconds) && isSame(held, print)) return true
    }
    return false
  }
}

const SECONDS = 0xffff_ffffn
const isLive = (word: bigint, nowSeconds: bigint): boolean => (word & SECONDS) > nowSeconds
const isSame = (word: bigint, print: bigint): boolean => word >> 32n === print >> 32n
