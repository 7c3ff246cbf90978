import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Document, RouteConfig } from '../config/schema.ts'
import { Headers } from '../http/headers.ts'
import { createPolicies } from '../policies/order.ts'
import { RouterBuilder } from '../routing/router.ts'
import { Upstream } from '../upstream/upstream.ts'
import { Peers } from './peers.ts'
import { type CompiledRoute, type Destination, logSettings, Runtime } from './runtime.ts'

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
  for (const [name, config] of Object.entries(document.upstreams)) {
    const key = JSON.stringify([name, config, config.tls.ca, config.tls.cert, config.tls.key].map(part => (typeof part === 'string' ? files[part] ?? part : part)))
    const upstream = options.previous?.upstreams.get(key) ?? new Upstream(name, config, files, options.wheel)
    upstreams.set(key, upstream)
    byName.set(name, upstream)
  }
  const builder = new RouterBuilder<CompiledRoute>()
  for (const routes of source.routeLists()) {
    for (const route of routes) builder.add(route, compileRoute(route, document, byName))
    await options.pause()
  }
  return new Runtime({
    version: source.version,
    maxUriBytes: document.bounds.maxUriBytes,
    router: builder.build(),
    peers: new Peers(document.trustedProxies),
    log: logSettings(document.accessLog),
    upstreams,
  })
}

function compileRoute(route: RouteConfig, document: Omit<Document, 'routes'>, upstreams: ReadonlyMap<string, Upstream>): CompiledRoute {
  return {
    id: route.id,
    ...createPolicies(route),
    destination: compileDestination(route, upstreams),
    maxBodyBytes: route.maxBodyBytes ?? document.bounds.maxBodyBytes,
    timeoutMs: route.timeoutMs,
  }
}

function compileDestination(route: RouteConfig, upstreams: ReadonlyMap<string, Upstream>): Destination {
  if (route.mock !== undefined) {
    const { status, headers, body } = route.mock
    const lines = new Headers()
    for (const [name, value] of Object.entries(headers)) lines.add(name, value)
    const bytes = Buffer.from(body)
    return { kind: 'mock', head: { status, lines, contentLength: bytes.length }, body: bytes }
  }
  const upstream = upstreams.get(route.upstream ?? '')
  if (upstream === undefined) throw new Error(`route '${route.id}': upstream '${route.upstream}' is not defined`)
  return { kind: 'upstream', upstream }
}
