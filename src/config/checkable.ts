import { type AdminConfig, documentSchema, type Document, type ListenerConfig, type RouteConfig, type UpstreamConfig } from './schema.ts'
import type { AuthenticatorConfig, ConsumerConfig, PlanConfig } from './schema-identity.ts'
import type { RedisConfig } from './schema-redis.ts'
import { valueAt } from './pointer.ts'

/**
 * The parts of a document that the schema takes, for the checks that look at more than one value. What it refuses is
 * undefined here, so that one mistake doesn't hide the next.
 */
export type Checkable = {
  readonly listeners: readonly (ListenerConfig | undefined)[]
  readonly trustedProxies: readonly (string | undefined)[]
  readonly admin: AdminConfig | null | undefined
  /** null: none, or one that is refused. */
  readonly redis: RedisConfig | null
  /** Every name that is defined, also of one that is refused. */
  readonly upstreams: ReadonlyMap<string, UpstreamConfig | undefined>
  readonly authenticators: ReadonlyMap<string, AuthenticatorConfig | undefined>
  readonly plans: ReadonlyMap<string, PlanConfig | undefined>
  readonly consumers: readonly (ConsumerConfig | undefined)[]
  readonly routes: readonly (RouteConfig | undefined)[]
}

export function checkableOf({ listeners, trustedProxies, admin, redis, upstreams, authenticators, plans, consumers, routes }: Document): Checkable {
  return {
    listeners, trustedProxies, admin, redis, upstreams: new Map(Object.entries(upstreams)),
    authenticators: new Map(Object.entries(authenticators)), plans: new Map(Object.entries(plans)), consumers, routes,
  }
}

const { listeners, trustedProxies, admin, redis: redisSchema, upstreams, authenticators, plans, consumers, routes } = documentSchema.shape
const listenerSchema = listeners.unwrap().element
const proxySchema = trustedProxies.unwrap().element
const upstreamSchema = upstreams.unwrap().valueType
const authenticatorSchema = authenticators.unwrap().valueType
const planSchema = plans.unwrap().valueType
const consumerSchema = consumers.unwrap().element
const routeSchema = routes.unwrap().element

/** Reads what is sound in a document that the schema refused. `unknown`: paths of keys to pass over. */
export function salvage(root: unknown, unknown: readonly (readonly (string | number)[])[]): Checkable {
  const copy = structuredClone(root)
  for (const path of unknown) {
    const parent = valueAt(copy, path.slice(0, -1)) as Record<string, unknown>
    delete parent[path.at(-1)!]
  }
  return {
    listeners: listAt(copy, 'listeners').map(item => listenerSchema.safeParse(item).data),
    trustedProxies: listAt(copy, 'trustedProxies').map(item => proxySchema.safeParse(item).data),
    admin: admin.safeParse(valueAt(copy, ['admin'])).data,
    redis: redisSchema.safeParse(valueAt(copy, ['redis'])).data ?? null,
    upstreams: salvageRecord(copy, 'upstreams', config => upstreamSchema.safeParse(config).data),
    authenticators: salvageRecord(copy, 'authenticators', config => authenticatorSchema.safeParse(config).data),
    plans: salvageRecord(copy, 'plans', config => planSchema.safeParse(config).data),
    consumers: listAt(copy, 'consumers').map(item => consumerSchema.safeParse(item).data),
    routes: listAt(copy, 'routes').map(item => routeSchema.safeParse(item).data),
  }
}

function salvageRecord<T>(root: unknown, key: string, read: (config: unknown) => T): Map<string, T> {
  return new Map(Object.entries(recordAt(root, key)).map(([name, config]) => [name, read(config)]))
}

function listAt(root: unknown, key: string): unknown[] {
  const value = valueAt(root, [key])
  return Array.isArray(value) ? value : []
}

function recordAt(root: unknown, key: string): object {
  const value = valueAt(root, [key])
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
}
