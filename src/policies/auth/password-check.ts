import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { MAX_SCRYPT_BYTES, type PasswordHash } from '../../config/password-hash.ts'

/**
 * Runs of scrypt at a time in a worker: they share libuv's four threads with files, name look-ups and signatures.
 * What waits for a turn is bounded; a guesser costs turns, not memory.
 */
const MAX_RUNNING = 2
const MAX_WAITING = 64

export type PasswordVerdict = 'right' | 'wrong' | 'busy'
export type DeriveKey = (password: string, hash: PasswordHash) => Promise<Buffer>

/** Compares passwords with their hashes, off the loop. */
export class PasswordChecks {
  readonly #derive: DeriveKey
  readonly #bounds: { readonly maxRunning: number; readonly maxWaiting: number }
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(derive: DeriveKey = deriveByScrypt, bounds = { maxRunning: MAX_RUNNING, maxWaiting: MAX_WAITING }) {
    this.#derive = derive
    this.#bounds = bounds
  }

  async check(password: string, hash: PasswordHash): Promise<PasswordVerdict> {
    if (this.#running >= this.#bounds.maxRunning) {
      if (this.#waiting.length >= this.#bounds.maxWaiting) return 'busy'
      // Who gives its turn on counts as running all the while.
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    } else this.#running++
    try {
      return timingSafeEqual(await this.#derive(password, hash), hash.hash) ? 'right' : 'wrong'
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }
}

function deriveByScrypt(password: string, { cost, blockSize, parallelization, salt, hash }: PasswordHash): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { N: cost, r: blockSize, p: parallelization, maxmem: 2 * MAX_SCRYPT_BYTES }
    scrypt(password, salt, hash.length, options, (cause, key) => (cause === null ? resolve(key) : reject(cause)))
  })
}

/** `scrypt:LOG2N:R:P:SALT:HASH` of a password, for the document. */
export async function hashPassword(password: string, logCost = 15): Promise<string> {
  const hash: PasswordHash = { cost: 2 ** logCost, blockSize: 8, parallelization: 1, salt: randomBytes(16), hash: Buffer.alloc(32) }
  const key = await deriveByScrypt(password, hash)
  return `scrypt:${logCost}:8:1:${hash.salt.toString('base64url')}:${key.toString('base64url')}`
}
