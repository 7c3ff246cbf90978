import type { IdentitiesMessage, IdentityConsumer, IdentityKey } from '../protocol/messages.ts'
import type { ConsumerRecord, IdentityChange, IdentityStore, KeyRecord } from './identity-store.ts'

/** A consumer as the document names it. */
export type DeclaredConsumer = {
  readonly id: string
  readonly plan?: string | null | undefined
  readonly groups?: readonly string[] | undefined
  /** `sha256:` and 64 hexadecimal digits each; `expiresAt` as an ISO date. */
  readonly keys?: readonly (string | { readonly digest: string; readonly expiresAt: string | null })[] | undefined
}

/** What the document says of those who call. */
export type DeclaredIdentities = {
  readonly consumers: readonly DeclaredConsumer[]
  /** Names of the plans; null: plans are not checked. */
  readonly plans: readonly string[] | null
}

const SCHEME = 'sha256:'

/** All who may call, of the document and of the store. Where both name a consumer, the document is right. */
export function identitiesMessage(declared: readonly DeclaredConsumer[], store: IdentityStore | null, nowMs: number): IdentitiesMessage {
  const consumers = new Map(declared.map(consumer => [consumer.id, consumerOf(consumer)]))
  const keys = new Map<string, IdentityKey>()
  const revoked: string[] = []
  for (const { id, keys: texts = [] } of declared) {
    for (const key of texts) {
      const { digest: text, expiresAt } = typeof key === 'string' ? { digest: key, expiresAt: null } : key
      const digest = declaredDigest(text)
      keys.set(digest, { digest, consumerId: id, plan: null, expiresAtMs: expiresAt === null ? null : Date.parse(expiresAt) })
    }
  }
  const records = store?.records() ?? { consumers: [], keys: [] }
  for (const record of records.consumers) if (!consumers.has(record.id)) consumers.set(record.id, consumerOf(record))
  for (const record of records.keys) {
    if (record.revokedAtMs !== null) {
      revoked.push(record.digest)
      // Also when somebody wrote it into the document: whoever revoked it meant this key.
      keys.delete(record.digest)
    } else if (!isExpired(record, nowMs) && consumers.has(record.consumerId)) keys.set(record.digest, keyOf(record))
  }
  return { type: 'identities', isWhole: true, consumers: [...consumers.values()], keys: [...keys.values()], revoked }
}

/** What a write to the store changes for the workers. */
export function changeMessage(change: IdentityChange, declared: readonly DeclaredConsumer[], store: IdentityStore): IdentitiesMessage {
  const isDeclared = (id: string): boolean => declared.some(consumer => consumer.id === id)
  const isKnown = (id: string): boolean => isDeclared(id) || store.consumer(id) !== null
  // A consumer of the document that was taken out of it may have left keys, which count again with its new record.
  const keys = [...change.keys, ...change.consumers.flatMap(({ id }) => store.keysOf(id))]
  return {
    type: 'identities',
    isWhole: false,
    consumers: change.consumers.filter(({ id }) => !isDeclared(id)).map(consumerOf),
    keys: keys.filter(key => key.revokedAtMs === null && isKnown(key.consumerId)).map(keyOf),
    revoked: keys.filter(key => key.revokedAtMs !== null).map(({ digest }) => digest),
  }
}

function consumerOf({ id, plan, groups }: DeclaredConsumer | ConsumerRecord): IdentityConsumer {
  return { id, plan: plan ?? null, groups: groups ?? [] }
}

function keyOf({ digest, consumerId, plan, expiresAtMs }: KeyRecord): IdentityKey {
  return { digest, consumerId, plan, expiresAtMs }
}

function isExpired({ expiresAtMs }: KeyRecord, nowMs: number): boolean {
  return expiresAtMs !== null && expiresAtMs <= nowMs
}

function declaredDigest(text: string): string {
  return (text.startsWith(SCHEME) ? text.slice(SCHEME.length) : text).toLowerCase()
}
