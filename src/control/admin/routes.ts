import type { DeclaredIdentities } from '../identities.ts'
import type { IdentityStore } from '../identity-store.ts'
import { getConsumer, getConsumerKeys, getConsumers, getKeys, postConsumer, postKey, revokeKey } from './identity-handlers.ts'
import type { AdminProblemCode } from './problem.ts'
import { type components, consumerId, type JsonSchema, keyId, newConsumer, newKey } from './schemas.ts'
import type { GatewayStatus } from './status.ts'

export type AdminDeps = {
  readonly store: IdentityStore
  /** Of the document that is served now. */
  declared(): DeclaredIdentities
  status(): GatewayStatus
  /** Something that an operator wants to find again: who was let in when. */
  onAudit(event: 'consumerCreated' | 'keyCreated' | 'keyRevoked', details: Readonly<Record<string, string | null>>): void
  /** Milliseconds since 1970. */
  nowMs(): number
}

/** A request that fits the description of its route. */
export type AdminRequest = {
  readonly params: Readonly<Record<string, string>>
  /** A name that is there twice has a list. */
  readonly query: Readonly<Record<string, unknown>>
  readonly body: unknown
}

export type AdminAnswer = { readonly body: unknown; readonly location?: string }

export type AdminRoute = {
  /** `operationId` of its description. */
  readonly name: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** As OpenAPI writes it: `/admin/keys/{id}`. */
  readonly path: string
  readonly summary: string
  readonly params?: Readonly<Record<string, JsonSchema>>
  readonly query?: Readonly<Record<string, JsonSchema>>
  /** Without `required` members, the body may be left out. */
  readonly body?: JsonSchema
  readonly answer: { readonly status: number; readonly means: string; readonly component: keyof typeof components | null }
  /** Besides those that every route may answer. */
  readonly problems: readonly AdminProblemCode[]
  handle(request: AdminRequest, deps: AdminDeps): AdminAnswer | Promise<AdminAnswer>
}

const paging: Record<string, JsonSchema> = {
  after: { type: 'string', maxLength: 128, description: '`next` of the page before.' },
  limit: { type: 'integer', minimum: 1, maximum: 1000, default: 100, description: 'Entries of a page.' },
}

/** All routes, but for the description of them, which the server adds. */
export const adminRoutes: readonly AdminRoute[] = [
  {
    name: 'getStatus', method: 'GET', path: '/admin/status', summary: 'The state of the gateway.',
    answer: { status: 200, means: 'The state.', component: 'Status' }, problems: [],
    handle: (_request, deps) => ({ body: deps.status() }),
  },
  {
    name: 'getConsumers', method: 'GET', path: '/admin/consumers', summary: 'Consumers of the document and of the store, by id.', query: paging,
    answer: { status: 200, means: 'A page of consumers.', component: 'Consumers' }, problems: [], handle: getConsumers,
  },
  {
    name: 'createConsumer', method: 'POST', path: '/admin/consumers', summary: 'Makes a consumer.', body: newConsumer,
    answer: { status: 201, means: 'The consumer.', component: 'Consumer' }, problems: ['ADMIN_CONSUMER_EXISTS', 'ADMIN_UNKNOWN_PLAN'], handle: postConsumer,
  },
  {
    name: 'getConsumer', method: 'GET', path: '/admin/consumers/{id}', summary: 'One consumer.', params: { id: consumerId },
    answer: { status: 200, means: 'The consumer.', component: 'Consumer' }, problems: ['ADMIN_UNKNOWN_CONSUMER'], handle: getConsumer,
  },
  {
    name: 'getConsumerKeys', method: 'GET', path: '/admin/consumers/{id}/keys', summary: 'The keys of a consumer, the newest last.', params: { id: consumerId },
    answer: { status: 200, means: 'The keys.', component: 'Keys' }, problems: ['ADMIN_UNKNOWN_CONSUMER'], handle: getConsumerKeys,
  },
  {
    name: 'createKey', method: 'POST', path: '/admin/consumers/{id}/keys', summary: 'Makes a key for a consumer. The answer is the only one that shows it.',
    params: { id: consumerId }, body: newKey, answer: { status: 201, means: 'The key.', component: 'NewKey' },
    problems: ['ADMIN_UNKNOWN_CONSUMER', 'ADMIN_UNKNOWN_PLAN', 'ADMIN_TOO_MANY_KEYS'], handle: postKey,
  },
  {
    name: 'getKeys', method: 'GET', path: '/admin/keys', summary: 'Keys of all consumers, by id.', query: paging,
    answer: { status: 200, means: 'A page of keys.', component: 'Keys' }, problems: [], handle: getKeys,
  },
  {
    name: 'revokeKey', method: 'DELETE', path: '/admin/keys/{id}', summary: 'Revokes a key: no worker takes it from now on. Once more is no error.', params: { id: keyId },
    answer: { status: 200, means: 'The revoked key.', component: 'Key' }, problems: ['ADMIN_UNKNOWN_KEY'], handle: revokeKey,
  },
]
