import { newApiKey } from '../api-key.ts'
import type { DeclaredConsumer } from '../identities.ts'
import { type ConsumerRecord, IdentityError, isValid, type KeyRecord } from '../identity-store.ts'
import { AdminProblem, type AdminProblemCode } from './problem.ts'
import type { AdminAnswer, AdminDeps, AdminRequest } from './routes.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

const PROBLEMS: Record<IdentityError['code'], AdminProblemCode> = {
  consumerExists: 'ADMIN_CONSUMER_EXISTS', unknownKey: 'ADMIN_UNKNOWN_KEY', tooManyKeys: 'ADMIN_TOO_MANY_KEYS',
}

export function getConsumers({ query }: AdminRequest, deps: AdminDeps): AdminAnswer {
  const { after, limit } = pageAsked(query)
  const declared = deps.declared().consumers.filter(({ id }) => after === null || id > after).map(declaredView)
  const names = new Set(deps.declared().consumers.map(({ id }) => id))
  // One more than asked tells whether there is another page; those that the document names too are passed over.
  const stored = deps.store.consumers(after, limit + 1 + names.size).filter(({ id }) => !names.has(id)).map(storedView)
  return { body: pageOf([...declared, ...stored].sort((left, right) => (left.id < right.id ? -1 : 1)), limit) }
}

export async function postConsumer({ body }: AdminRequest, deps: AdminDeps): Promise<AdminAnswer> {
  const { id, plan = null, groups = [] } = body as { id: string; plan?: string | null; groups?: string[] }
  if (declaredConsumer(id, deps) !== undefined) throw new AdminProblem('ADMIN_CONSUMER_EXISTS', `consumer '${id}' is in the document: change it there`)
  checkPlan(plan, deps)
  const record = await asked(deps.store.createConsumer({ id, plan, groups: [...new Set(groups)] }))
  deps.onAudit('consumerCreated', { consumer: id, plan })
  return { body: storedView(record), location: `/admin/consumers/${id}` }
}

export function getConsumer({ params }: AdminRequest, deps: AdminDeps): AdminAnswer {
  return { body: findConsumer(params['id']!, deps) }
}

export function getConsumerKeys({ params }: AdminRequest, deps: AdminDeps): AdminAnswer {
  const { id } = findConsumer(params['id']!, deps)
  return { body: { items: deps.store.keysOf(id).map(key => keyView(key, deps.nowMs())), next: null } }
}

export async function postKey({ params, body }: AdminRequest, deps: AdminDeps): Promise<AdminAnswer> {
  const { plan = null, expiresAt = null } = body as { plan?: string | null; expiresAt?: string | null }
  const { id } = findConsumer(params['id']!, deps)
  checkPlan(plan, deps)
  const expiresAtMs = expiresAt === null ? null : Date.parse(expiresAt)
  if (expiresAtMs !== null && !(expiresAtMs > deps.nowMs())) {
    throw new AdminProblem('ADMIN_BAD_REQUEST', '/body/expiresAt: must be a time in the future, for example 2030-01-31T00:00:00Z')
  }
  const { secret, ...parts } = newApiKey()
  const record = await asked(deps.store.createKey({ ...parts, consumerId: id, plan, expiresAtMs }))
  deps.onAudit('keyCreated', { key: record.id, consumer: id, plan, expiresAt })
  return { body: { ...keyView(record, deps.nowMs()), key: secret } }
}

export function getKeys({ query }: AdminRequest, deps: AdminDeps): AdminAnswer {
  const { after, limit } = pageAsked(query)
  return { body: pageOf(deps.store.keys(after, limit + 1).map(key => keyView(key, deps.nowMs())), limit) }
}

export async function revokeKey({ params }: AdminRequest, deps: AdminDeps): Promise<AdminAnswer> {
  const id = params['id']!
  const wasRevoked = typeof deps.store.key(id)?.revokedAtMs === 'number'
  const record = await asked(deps.store.revokeKey(id))
  if (!wasRevoked) deps.onAudit('keyRevoked', { key: record.id, consumer: record.consumerId })
  return { body: keyView(record, deps.nowMs()) }
}

/** Names each member: what is not named here, the digest above all, leaves the process with nobody. */
function keyView(key: KeyRecord, nowMs: number): { id: string } & Record<string, unknown> {
  return {
    id: key.id,
    consumer: key.consumerId,
    plan: key.plan,
    prefix: key.prefix,
    lastFour: key.lastFour,
    state: key.revokedAtMs !== null ? 'revoked' : isValid(key, nowMs) ? 'valid' : 'expired',
    createdAt: timeOf(key.createdAtMs),
    expiresAt: timeOf(key.expiresAtMs),
    revokedAt: timeOf(key.revokedAtMs),
  }
}

type ConsumerView = { readonly id: string; readonly plan: string | null; readonly groups: readonly string[]; readonly source: string; readonly createdAt: string | null }

function declaredView({ id, plan, groups }: DeclaredConsumer): ConsumerView {
  return { id, plan: plan ?? null, groups: groups ?? [], source: 'document', createdAt: null }
}

function storedView({ id, plan, groups, createdAtMs }: ConsumerRecord): ConsumerView {
  return { id, plan, groups, source: 'store', createdAt: timeOf(createdAtMs) }
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function declaredConsumer(id: string, deps: AdminDeps): DeclaredConsumer | undefined {
  return deps.declared().consumers.find(consumer => consumer.id === id)
}

function findConsumer(id: string, deps: AdminDeps): ConsumerView {
  const declared = declaredConsumer(id, deps)
  if (declared !== undefined) return declaredView(declared)
  const record = deps.store.consumer(id)
  if (record === null) throw new AdminProblem('ADMIN_UNKNOWN_CONSUMER', `there is no consumer '${id}'`)
  return storedView(record)
}

function checkPlan(plan: string | null, deps: AdminDeps): void {
  const { plans } = deps.declared()
  if (plan === null || plans === null || plans.includes(plan)) return
  const known = plans.length === 0 ? 'the document has none' : `the document has ${plans.map(name => `'${name}'`).join(', ')}`
  throw new AdminProblem('ADMIN_UNKNOWN_PLAN', `there is no plan '${plan}': ${known}`)
}

function pageAsked(query: AdminRequest['query']): { readonly after: string | null; readonly limit: number } {
  for (const name of Object.keys(query)) {
    if (name !== 'after' && name !== 'limit') throw new AdminProblem('ADMIN_BAD_REQUEST', `/query/${name}: is not known here: 'after' and 'limit' are`)
  }
  const { after = null, limit = String(DEFAULT_LIMIT) } = query
  if (after !== null && typeof after !== 'string') throw new AdminProblem('ADMIN_BAD_REQUEST', '/query/after: stands there twice')
  if (typeof limit !== 'string' || !/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MAX_LIMIT) {
    throw new AdminProblem('ADMIN_BAD_REQUEST', `/query/limit: must be a whole number from 1 to ${MAX_LIMIT}`)
  }
  return { after, limit: Number(limit) }
}

function pageOf<T extends { readonly id: string }>(items: readonly T[], limit: number): { items: readonly T[]; next: string | null } {
  return { items: items.slice(0, limit), next: items.length > limit ? items[limit - 1]!.id : null }
}

async function asked<T>(write: Promise<T>): Promise<T> {
  try {
    return await write
  } catch (cause) {
    if (cause instanceof IdentityError) throw new AdminProblem(PROBLEMS[cause.code], cause.message)
    throw cause
  }
}
