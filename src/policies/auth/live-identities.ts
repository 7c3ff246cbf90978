import type { IdentitiesMessage } from '../../protocol/messages.ts'
import type { Consumer } from '../policy.ts'

export type LiveKey = { readonly consumer: Consumer; readonly expiresAtMs: number }

/** Consumers and keys that change at run time, as the primary tells them. One a worker; it outlives every reload. */
export class LiveIdentities {
  readonly #consumers = new Map<string, Consumer>()
  readonly #keys = new Map<string, LiveKey>()
  readonly #revoked = new Set<string>()
  /** Grows with every change: what was found in an earlier one is looked up again. */
  generation = 0

  apply(message: IdentitiesMessage): void {
    this.generation++
    if (message.isWhole) {
      this.#consumers.clear()
      this.#keys.clear()
      this.#revoked.clear()
    }
    for (const { id, plan, groups } of message.consumers) this.#consumers.set(id, Object.freeze({ id, plan, groups: Object.freeze([...groups]) }))
    for (const { digest, consumerId, plan, expiresAtMs } of message.keys) {
      const consumer = this.#consumers.get(consumerId)
      if (consumer === undefined) continue
      this.#revoked.delete(digest)
      // A key may have a plan of its own.
      this.#keys.set(digest, { consumer: plan === null ? consumer : Object.freeze({ ...consumer, plan }), expiresAtMs: expiresAtMs ?? Infinity })
    }
    for (const digest of message.revoked) {
      this.#revoked.add(digest)
      this.#keys.delete(digest)
    }
  }

  consumer(id: string): Consumer | undefined {
    return this.#consumers.get(id)
  }

  key(digest: string): LiveKey | undefined {
    return this.#keys.get(digest)
  }

  isRevoked(digest: string): boolean {
    return this.#revoked.has(digest)
  }
}
