import type { Document } from '../config/schema.ts'
import { nonceTableBytes } from '../policies/auth/nonce-table.ts'
import type { NonceMemories } from '../protocol/messages.ts'

/** Memory for the nonces of signed requests, by name of the authenticator: one for all workers, or a replay would pass once in each. */
export class NonceMemory {
  #memories: NonceMemories = {}

  /** What an authenticator has used lives on over a reload, as long as its table keeps its size. */
  follow(authenticators: Document['authenticators']): NonceMemories {
    const next: Record<string, SharedArrayBuffer> = {}
    for (const [name, config] of Object.entries(authenticators)) {
      if (config.type !== 'hmac') continue
      const byteLength = nonceTableBytes(config.maxNonces)
      const before = this.#memories[name]
      next[name] = before?.byteLength === byteLength ? before : new SharedArrayBuffer(byteLength)
    }
    return this.#memories = next
  }

  get current(): NonceMemories {
    return this.#memories
  }
}
