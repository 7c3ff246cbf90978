import { createHash, createHmac } from 'node:crypto'
import { Packr } from 'msgpackr'
import type { RedisClient } from './redis-client.ts'

/** Larger ones are not kept: a token's claims are a few hundred bytes. */
const MAX_VALUE_BYTES = 65_536

export type AuthCacheOptions<Value> = {
  /** Name of the authenticator, and of its settings where these change what a token is worth: A-Z a-z 0-9 and _ . - */
  readonly scope: string
  /** The same on all nodes. With it Redis can't tell who a guessed token belongs to; null: plain SHA-256, enough for random tokens. */
  readonly secret: string | null
  /** Makes a value of what was unpacked, or null where it is none: Redis may hold anything. */
  readonly read: (unpacked: unknown) => Value | null
}

/**
 * What authenticators found out about a token, good or bad, shared by all nodes (the second tier; a worker has its own before
 * it). The token is in the key as a digest only. Redis away is a miss: the source is asked. A hit says nothing about
 * revocations: these are asked besides.
 */
export class AuthCache<Value> {
  readonly #client: RedisClient
  readonly #prefix: string
  readonly #options: AuthCacheOptions<Value>
  // Plain maps: records would need their structures to be shared between the nodes.
  readonly #packr = new Packr({ useRecords: false })

  constructor(client: RedisClient, options: AuthCacheOptions<Value>) {
    this.#client = client
    this.#options = options
    this.#prefix = `${client.keyPrefix}auth:1:${options.scope}:`
  }

  /** null: not known, or Redis did not say in time. Never rejects. */
  async get(token: string): Promise<Value | null> {
    const key = this.#keyOf(token)
    try {
      const bytes = await this.#client.commandForBytes(key, 'GET', [key])
      return Buffer.isBuffer(bytes) ? this.#options.read(this.#packr.unpack(bytes)) : null
    } catch {
      // Not reachable, or bytes that are no msgpack: the source knows, and says so next.
      return null
    }
  }

  /**
   * Keeps a value; resolves to whether Redis has it. Never rejects. `ttlMs`: never beyond the end of the token itself; nothing is
   * kept where it is below 1.
   */
  async set(token: string, value: Value, ttlMs: number): Promise<boolean> {
    const wholeMs = Math.floor(ttlMs)
    if (!(wholeMs >= 1)) return false
    try {
      const bytes = this.#packr.pack(value)
      if (bytes.length > MAX_VALUE_BYTES) return false
      const key = this.#keyOf(token)
      return await this.#client.command(key, 'SET', [key, bytes, 'PX', wholeMs]) === 'OK'
    } catch {
      return false
    }
  }

  /** Resolves to whether Redis has done it. Never rejects. */
  async delete(token: string): Promise<boolean> {
    const key = this.#keyOf(token)
    try {
      await this.#client.command(key, 'DEL', [key])
      return true
    } catch {
      return false
    }
  }

  #keyOf(token: string): string {
    const { secret } = this.#options
    const hash = secret === null ? createHash('sha256') : createHmac('sha256', secret)
    return this.#prefix + hash.update(token).digest('base64url')
  }
}
