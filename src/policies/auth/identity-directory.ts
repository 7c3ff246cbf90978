import type { ConsumerConfig } from '../../config/schema-identity.ts'
import type { Consumer } from '../policy.ts'
import type { LiveIdentities } from './live-identities.ts'
import { sha256Hex } from './sha256.ts'

type Entry = { readonly consumer: Consumer | null; readonly expiresAtMs: number }

/** Stands for a key that nobody has, so that it takes the same way as one that somebody has. */
const NOBODY: Entry = { consumer: null, expiresAtMs: Infinity }

/**
 * The consumers of a document, by id and by the digests of their keys, built when a snapshot is compiled; behind them those
 * that were made at run time. A key that was revoked at run time is refused also where the document has it.
 */
export class IdentityDirectory {
  readonly #byId = new Map<string, Consumer>()
  readonly #byDigest = new Map<string, Entry>()
  readonly #epochMs: () => number
  readonly #digestOf: (key: string) => string
  readonly #live: LiveIdentities | null

  /** `digestOf`: hexadecimal SHA-256. `live`: null where nothing changes at run time. */
  constructor(consumers: readonly ConsumerConfig[], epochMs: () => number, digestOf: (key: string) => string = sha256Hex, live: LiveIdentities | null = null) {
    this.#live = live
    this.#epochMs = epochMs
    this.#digestOf = digestOf
    for (const { id, plan, groups, keys } of consumers) {
      const consumer: Consumer = Object.freeze({ id, plan, groups: Object.freeze([...groups]) })
      this.#byId.set(id, consumer)
      for (const key of keys) {
        const { digest, expiresAt } = typeof key === 'string' ? { digest: key, expiresAt: null } : key
        this.#byDigest.set(digest.slice('sha256:'.length), { consumer, expiresAtMs: expiresAt === null ? Infinity : Date.parse(expiresAt) })
      }
    }
  }

  /** Changes when what was found before may be found differently now. */
  get generation(): number {
    return this.#live === null ? 0 : this.#live.generation
  }

  byId(id: string): Consumer | null {
    return this.#byId.get(id) ?? this.#live?.consumer(id) ?? null
  }

  /**
   * Whose key it is; null: nobody's, or its time is over. One digest, the same look-ups and one comparison of times
   * whether the key exists or not. What the look-up tells by its time is about the digest, which nobody can choose.
   */
  byKey(key: string): Consumer | null {
    const digest = this.#digestOf(key)
    const live = this.#live
    const declared = this.#byDigest.get(digest)
    const made = live?.key(digest)
    const entry = live?.isRevoked(digest) ? NOBODY : declared ?? made ?? NOBODY
    return this.#epochMs() < entry.expiresAtMs ? entry.consumer : null
  }
}
