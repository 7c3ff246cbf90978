import { Failure } from '../../base/failure.ts'
import { RecentMap } from './recent-map.ts'

/** What a look at a credential came to, and until when (epoch, ms) it may be believed; not beyond now: not kept. */
export type Looked<T> = { readonly value: T | Failure; readonly untilMs: number }

export type TokenCacheBounds = {
  /** Credentials that hold. */
  readonly maxEntries: number
  /** Characters of their keys together. */
  readonly maxChars: number
  /** Credentials that don't hold: in a list of their own, so that a flood of them takes no good one's place. */
  readonly maxRefusals: number
  /** Looks under way, and requests that wait for one of them. */
  readonly maxPending: number
  readonly maxWaiters: number
}

export const TOKEN_CACHE_BOUNDS: TokenCacheBounds = { maxEntries: 50_000, maxChars: 33_554_432, maxRefusals: 10_000, maxPending: 1024, maxWaiters: 4096 }

/**
 * The first tier of cached authentication, of one authenticator and worker. Keyed by the credential itself or by a
 * digest of it; `get` answers without a promise. Of requests with the same unknown credential one looks, the others wait.
 */
export class TokenCache<T> {
  readonly #bounds: TokenCacheBounds
  readonly #good: RecentMap<{ readonly value: T; readonly untilMs: number }>
  readonly #refused: RecentMap<{ readonly value: Failure; readonly untilMs: number }>
  readonly #pending = new Map<string, Promise<T | Failure>>()
  #waiters = 0

  constructor(bounds: TokenCacheBounds = TOKEN_CACHE_BOUNDS) {
    this.#bounds = bounds
    this.#good = new RecentMap(bounds)
    this.#refused = new RecentMap({ maxEntries: bounds.maxRefusals, maxChars: bounds.maxChars })
  }

  /** Entries of both kinds; looks under way; requests that wait. */
  get counts(): { readonly good: number; readonly refused: number; readonly pending: number; readonly waiters: number } {
    return { good: this.#good.size, refused: this.#refused.size, pending: this.#pending.size, waiters: this.#waiters }
  }

  /** `now`: epoch, ms. undefined: nothing is known. */
  get(key: string, now: number): T | undefined {
    const entry = this.#good.get(key)
    if (entry === undefined) return undefined
    if (now < entry.untilMs) return entry.value
    this.#good.delete(key)
    return undefined
  }

  /** A refusal that holds still. `key`: as `load` was given for refusals. */
  refusal(key: string, now: number): Failure | undefined {
    const entry = this.#refused.get(key)
    if (entry === undefined) return undefined
    if (now < entry.untilMs) return entry.value
    this.#refused.delete(key)
    return undefined
  }

  /**
   * Looks at a credential that `get` does not know. `refusalKey`: short, since an attacker chooses how many there are.
   * Failures: what `look` found; GW_AUTH_UNAVAILABLE when too many are looked at already.
   */
  load(key: string, refusalKey: string, look: () => Promise<Looked<T>>, now: () => number): Failure | Promise<T | Failure> {
    const refusal = this.refusal(refusalKey, now())
    if (refusal !== undefined) return refusal
    if (this.#waiters >= this.#bounds.maxWaiters) return new Failure('GW_AUTH_UNAVAILABLE', 'too many requests wait for a credential to be verified')
    const running = this.#pending.get(key)
    if (running !== undefined) return this.#wait(running)
    if (this.#pending.size >= this.#bounds.maxPending) return new Failure('GW_AUTH_UNAVAILABLE', 'too many credentials are being verified')
    const started = this.#look(key, refusalKey, look, now)
    this.#pending.set(key, started)
    return this.#wait(started)
  }

  clear(): void {
    this.#good.clear()
    this.#refused.clear()
  }

  async #wait(running: Promise<T | Failure>): Promise<T | Failure> {
    this.#waiters++
    try {
      return await running
    } finally {
      this.#waiters--
    }
  }

  async #look(key: string, refusalKey: string, look: () => Promise<Looked<T>>, now: () => number): Promise<T | Failure> {
    try {
      // Not before the caller has it in the list.
      await null
      const { value, untilMs } = await look()
      if (untilMs > now()) {
        if (value instanceof Failure) this.#refused.set(refusalKey, { value, untilMs })
        else this.#good.set(key, { value, untilMs })
      }
      return value
    } finally {
      this.#pending.delete(key)
    }
  }
}
