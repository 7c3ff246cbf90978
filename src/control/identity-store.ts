/** A consumer that was made at run time; those of the document are in no store. */
export type ConsumerRecord = {
  readonly id: string
  /** Name of a plan; null: none. */
  readonly plan: string | null
  readonly groups: readonly string[]
  readonly createdAtMs: number
}

/** A key as it is kept: enough to recognise it, not enough to use it. */
export type KeyRecord = {
  readonly id: string
  /** SHA-256 of the key's UTF-8 bytes, 64 hexadecimal digits in lower case. */
  readonly digest: string
  /** What every key starts with, and the last four characters of this one. */
  readonly prefix: string
  readonly lastFour: string
  readonly consumerId: string
  /** null: that of its consumer. */
  readonly plan: string | null
  /** These three in milliseconds since 1970; null: never. */
  readonly createdAtMs: number
  readonly expiresAtMs: number | null
  readonly revokedAtMs: number | null
}

export type NewConsumer = Pick<ConsumerRecord, 'id' | 'plan' | 'groups'>
export type NewKey = Pick<KeyRecord, 'digest' | 'prefix' | 'lastFour' | 'consumerId' | 'plan' | 'expiresAtMs'>

/** What was added or changed by one write; a key that was revoked comes with its `revokedAtMs`. */
export type IdentityChange = { readonly consumers: readonly ConsumerRecord[]; readonly keys: readonly KeyRecord[] }

/**
 * Consumers and keys that change at run time. Reads answer at once, from what this process holds of the store; a write
 * is durable when its promise resolves, and is told to `onChange` before that.
 *
 * Failures: IdentityError for what the caller asked wrongly; any other Error: the store failed, and the write has
 * perhaps not happened.
 */
export interface IdentityStore {
  /** Called once for each write, also for those of other nodes where the store is shared. */
  onChange: ((change: IdentityChange) => void) | null
  consumer(id: string): ConsumerRecord | null
  /** In the order of their ids, from the first id after `after` on. */
  consumers(after: string | null, limit: number): ConsumerRecord[]
  key(id: string): KeyRecord | null
  /** Also those that have expired or were revoked; the newest last. */
  keysOf(consumerId: string): readonly KeyRecord[]
  /** In the order of their ids, from the first id after `after` on. */
  keys(after: string | null, limit: number): KeyRecord[]
  /** All there is, for those who follow `onChange`. */
  records(): { readonly consumers: Iterable<ConsumerRecord>; readonly keys: Iterable<KeyRecord> }
  createConsumer(consumer: NewConsumer): Promise<ConsumerRecord>
  /** Whether the consumer exists is the caller's business: the document may name it. */
  createKey(key: NewKey): Promise<KeyRecord>
  /** A key that is revoked already stays as it is. */
  revokeKey(id: string): Promise<KeyRecord>
  /** Waits for the writes under way; no others are taken. */
  close(): Promise<void>
}

export type IdentityProblem = 'consumerExists' | 'unknownKey' | 'tooManyKeys'

/** What was asked for can't be. */
export class IdentityError extends Error {
  readonly code: IdentityProblem

  constructor(code: IdentityProblem, message: string) {
    super(message)
    this.name = 'IdentityError'
    this.code = code
  }
}

export function isValid(key: KeyRecord, nowMs: number): boolean {
  return key.revokedAtMs === null && (key.expiresAtMs === null || key.expiresAtMs > nowMs)
}
