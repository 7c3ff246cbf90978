import type { KeyObject } from 'node:crypto'
import type { VerificationKey } from '../../config/verification-key.ts'

/** A key; null: there is none with this id for this algorithm; 'unavailable': the keys can't be had. */
export type KeyLookup = KeyObject | Uint8Array | null | 'unavailable'

/** Where the keys that verify tokens come from. */
export interface JwksSource {
  /** Why keys could not be had at the last try, for the log; null: they could. */
  readonly problem: string | null
  /** `kid`: of the token, null without one. `algorithm` is one of those that the document accepts. */
  keyFor(kid: string | null, algorithm: string): KeyLookup | Promise<KeyLookup>
}

/** Keys that the document holds. */
export class FixedKeys implements JwksSource {
  readonly problem = null
  readonly #keys: readonly VerificationKey[]

  constructor(keys: readonly VerificationKey[]) {
    this.#keys = keys
  }

  keyFor(kid: string | null, algorithm: string): KeyLookup {
    return chooseKey(this.#keys, kid, algorithm)
  }
}

/** One key without an id, for all tokens: a PEM file or a shared secret. */
export class SingleKey implements JwksSource {
  readonly problem = null
  readonly #key: KeyObject | Uint8Array

  constructor(key: KeyObject | Uint8Array) {
    this.#key = key
  }

  keyFor(): KeyLookup {
    return this.#key
  }
}

/**
 * The key for a token: by its id, and of a kind that the algorithm is for, so that no token chooses what its key is used
 * for. A token without an id takes the only key that fits; where two do, none: to try all would multiply the work of a flood.
 */
export function chooseKey(keys: readonly VerificationKey[], kid: string | null, algorithm: string): KeyObject | null {
  let found: KeyObject | null = null
  for (const { id, key, algorithms } of keys) {
    if ((kid !== null && id !== kid) || !algorithms.includes(algorithm)) continue
    if (found !== null) return null
    found = key
  }
  return found
}
