import { nowMs } from '../base/clock.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Document, RouteConfig } from '../config/schema.ts'
import { Headers } from '../http/headers.ts'
import type { EndpointTables } from '../protocol/endpoint-table.ts'
import type { LimitService } from '../limits/limit-service.ts'
import { type AuthOptions, createAuth } from '../policies/auth/create-auth.ts'
import type { LiveIdentities } from '../policies/auth/live-identities.ts'
import { createPolicies } from '../policies/order.ts'
import type { PolicyDeps } from '../policies/policy.ts'
import { RouterBuilder } from '../routing/router.ts'
import { Upstream, type UpstreamDeps } from '../upstream/upstream.ts'
import type { Target } from './delivery.ts'
import { Hedging } from './hedging.ts'
import { JsonComparer } from './json-comparer.ts'
import { Mirror, type MirrorConfig } from './mirror.ts'
import { mirrorTarget } from './mirror-target.ts'
import { Peers } from './peers.ts'
import { RetryPolicy } from './retry.ts'
import { type CompiledRoute, type Destination, logSettings, Runtime } from './runtime.ts'
import { PRIORITY_RANKS } from './shedding.ts'
import { Split } from './split.ts'

/** One for all mirrors of a thread, so that all of them together wait in one bounded queue. */
const comparer = new JsonComparer()

/** A snapshot with its routes in lists that each compile in about a millisecond. */
export type CompileSource = {
  readonly version: string
  /** All but the routes. */
  readonly document: Omit<Document, 'routes'>
  readonly files: Readonly<Record<string, string>>
  routeLists(): Iterable<readonly RouteConfig[]>
}

export type CompileOptions = {
  readonly wheel: TimerWheel
  /** What the primary knows of the endpoints of each upstream. */
  readonly tables: EndpointTables
  readonly onUpstreamEvent: UpstreamDeps['onEvent']
  /** Consumers and keys that change at run time. */
  readonly live: LiveIdentities
  readonly limits: LimitService
  /** Of the used nonces of signed requests, shared by all workers. */
  readonly nonceMemory: AuthOptions['nonceMemory']
  /** Its upstreams are carried over where nothing changed, with their connections. */
  readonly previous: Runtime | null
  /** Called between two lists: lets exchanges go on. */
  readonly pause: () => Promise<void>
}

/**
 * Makes the runtime of a snapshot. It touches nothing outside itself and opens no connection, so the primary can do it
 * as a dry run. What it throws is why the snapshot is refused.
 */
export async function compile(source: CompileSource, options: CompileOptions): Promise<Runtime> {
  const { document, files } = source
  const upstreams = new Map<string, Upstream>()
  const byName = new Map<string, Upstream>()
  const deps: UpstreamDeps = { wheel: options.wheel, files, zone: document.zone, onEvent: options.onUpstreamEvent }
  for (const [name, config] of Object.entries(document.upstreams)) {
    const contents = [config.tls.ca, config.tls.cert, config.tls.key].map(file => (file === null ? null : files[file]))
    const key = JSON.stringify([name, document.zone, config, contents])
    const table = options.tables[name] ?? { endpoints: [], unhealthy: [] }
    const upstream = options.previous?.upstreams.get(key) ?? new Upstream(name, config, table, deps)
    upstreams.set(key, upstream)
    byName.set(name, upstream)
  }
  const auth = createAuth(
    { authenticators: document.authenticators, consumers: document.consumers, files },
    { nowMs, epochMs: Date.now, nonceMemory: options.nonceMemory, live: options.live, previous: options.previous?.auth ?? null },
  )
  const policyDeps: PolicyDeps = { nowMs, auth, limits: options.limits }
  const mirrors = new Map<string, Mirror>()
  const builder = new RouterBuilder<CompiledRoute>()
  for (const routes of source.routeLists()) {
    for (const route of routes) {
      const compiled = compileRoute(route, document, byName, policyDeps)
      builder.add(route, compiled)
      if (compiled.mirror !== null) mirrors.set(route.id, compiled.mirror)
    }
    await options.pause()
  }
  return new Runtime({
    version: source.version,
    maxUriBytes: document.bounds.maxUriBytes,
    router: builder.build(),
    peers: new Peers(document.trustedProxies),
    log: logSettings(document.accessLog),
    upstreams,
    auth,
    shedding: document.shedding,
    mirrors,
  })
}

function compileRoute(route: RouteConfig, document: Omit<Document, 'routes'>, upstreams: ReadonlyMap<string, Upstream>, policyDeps: PolicyDeps): CompiledRoute {
  const targetOf = (name: string): Target => {
    const { retries } = document.upstreams[name]!
    return { upstream: upstreams.get(name)!, retry: new RetryPolicy(retries), hedging: retries.hedge === null ? null : new Hedging(retries.hedge) }
  }
  return {
    id: route.id,
    ...createPolicies(route, policyDeps),
    destination: compileDestination(route, targetOf),
    mirror: route.mirror === undefined ? null : compileMirror(route.mirror, route.timeoutMs, upstreams),
    rank: PRIORITY_RANKS[route.priority],
    maxBodyBytes: route.maxBodyBytes ?? document.bounds.maxBodyBytes,
    timeoutMs: route.timeoutMs,
  }
}

function compileMirror(config: MirrorConfig, timeoutMs: number, upstreams: ReadonlyMap<string, Upstream>): Mirror {
  // What goes wrong with a copy is counted, and no fault of the gateway's.
  return new Mirror(config, { target: mirrorTarget(upstreams.get(config.upstream)!), comparer, random: Math.random, nowMs, timeoutMs, onFault: () => {} })
}

function compileDestination(route: RouteConfig, targetOf: (name: string) => Target): Destination {
  if (route.mock !== undefined) {
    const { status, headers, body } = route.mock
    const lines = new Headers()
    for (const [name, value] of Object.entries(headers)) lines.add(name, value)
    const bytes = Buffer.from(body)
    return { kind: 'mock', head: { status, lines, contentLength: bytes.length }, body: bytes }
  }
  if (route.split !== undefined) {
    const parts = route.split.map(({ upstream, weight }) => ({ target: targetOf(upstream), weight }))
    return { kind: 'split', split: new Split(parts, route.id), by: route.splitBy }
  }
  return { kind: 'upstream', target: targetOf(route.upstream!) }
}
