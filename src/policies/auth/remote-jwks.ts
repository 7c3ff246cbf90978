import { readJwk, type VerificationKey } from '../../config/verification-key.ts'
import { HttpCaller } from './http-call.ts'
import { chooseKey, type JwksSource, type KeyLookup } from './jwks-source.ts'

/** An unknown key id has the set fetched again at most this often: a flood of made-up ids is no flood at the issuer. */
const COOLDOWN_MS = 30_000
/** After a failure, while there are no keys at all. */
const RETRY_MS = 1000
const MAX_BYTES = 262_144
const MAX_KEYS = 100

export type RemoteJwksOptions = {
  readonly url: string
  readonly refreshMs: number
  readonly timeoutMs: number
  /** Never runs backwards, ms. */
  readonly nowMs: () => number
}

/**
 * Keys behind a URL. Fetched by use: older than `refreshMs` they are fetched again beside the requests, older than twice
 * that (nobody asked for long) requests wait for the new ones. When they can't be fetched the last good ones go on.
 * No timer of its own, so there is nothing to close.
 */
export class RemoteJwks implements JwksSource {
  readonly #options: RemoteJwksOptions
  readonly #caller = new HttpCaller()
  #keys: readonly VerificationKey[] | null = null
  #fetchedAtMs = -Infinity
  #triedAtMs = -Infinity
  #fetching: Promise<void> | null = null
  /** Of the last fetch that failed; null: it did not. */
  #problem: string | null = null

  constructor(options: RemoteJwksOptions) {
    this.#options = options
  }

  get problem(): string | null {
    return this.#problem
  }

  keyFor(kid: string | null, algorithm: string): KeyLookup | Promise<KeyLookup> {
    const now = this.#options.nowMs()
    const ageMs = now - this.#fetchedAtMs
    if (this.#keys === null || ageMs >= 2 * this.#options.refreshMs) {
      return this.#mayTry(now, RETRY_MS) ? this.#afterFetch(kid, algorithm) : this.#find(kid, algorithm)
    }
    if (ageMs >= this.#options.refreshMs && this.#mayTry(now, Math.min(COOLDOWN_MS, this.#options.refreshMs))) void this.#fetch()
    const found = this.#find(kid, algorithm)
    if (found !== null || !this.#mayTry(now, COOLDOWN_MS)) return found
    return this.#afterFetch(kid, algorithm)
  }

  /** A fetch that is under way may be waited for; a new one needs `restMs` since the last began. */
  #mayTry(now: number, restMs: number): boolean {
    return this.#fetching !== null || now - this.#triedAtMs >= restMs
  }

  #find(kid: string | null, algorithm: string): KeyLookup {
    return this.#keys === null ? 'unavailable' : chooseKey(this.#keys, kid, algorithm)
  }

  async #afterFetch(kid: string | null, algorithm: string): Promise<KeyLookup> {
    await this.#fetch()
    return this.#find(kid, algorithm)
  }

  #fetch(): Promise<void> {
    if (this.#fetching !== null) return this.#fetching
    this.#triedAtMs = this.#options.nowMs()
    return this.#fetching = this.#load().finally(() => { this.#fetching = null })
  }

  async #load(): Promise<void> {
    const { url, timeoutMs, nowMs } = this.#options
    const answer = await this.#caller.call({ url, method: 'GET', headers: { accept: 'application/json, application/jwk-set+json' }, timeoutMs, maxBytes: MAX_BYTES })
    const keys = 'problem' in answer ? answer : answer.status === 200 ? readKeys(answer.body) : { problem: `status ${answer.status}` }
    if ('problem' in keys) {
      this.#problem = keys.problem
      return
    }
    this.#problem = null
    this.#keys = keys
    this.#fetchedAtMs = nowMs()
  }
}

/** Keys that can't verify anything of ours are passed over: an issuer may publish keys for encryption beside them. */
function readKeys(text: string): readonly VerificationKey[] | { readonly problem: string } {
  let keys: unknown
  try {
    keys = (JSON.parse(text) as { keys?: unknown } | null)?.keys
  } catch {
    return { problem: 'the answer is no JSON' }
  }
  if (!Array.isArray(keys)) return { problem: 'the answer has no list of keys' }
  const usable: VerificationKey[] = []
  for (const jwk of keys.slice(0, MAX_KEYS) as unknown[]) {
    if (typeof jwk !== 'object' || jwk === null) continue
    const read = readJwk(jwk as Record<string, unknown>)
    if (!('problem' in read)) usable.push(read)
  }
  return usable.length === 0 ? { problem: 'the answer has no key that can verify a token' } : usable
}
