import type { AccessLogConfig, Document } from '../config/schema.ts'
import type { AuthSet } from '../policies/auth/create-auth.ts'
import type { Policy } from '../policies/policy.ts'
import type { EndpointTable } from '../protocol/endpoint-table.ts'
import type { ResponseHead } from '../http/message.ts'
import type { Router } from '../routing/router.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { Target } from './delivery.ts'
import type { Mirror } from './mirror.ts'
import type { Peers } from './peers.ts'
import type { Split } from './split.ts'

export type Destination =
  | { readonly kind: 'upstream'; readonly target: Target }
  /** `by`: the key whose value decides; null: at random. */
  | { readonly kind: 'split'; readonly split: Split<Target>; readonly by: string | null }
  | { readonly kind: 'mock'; readonly head: ResponseHead; readonly body: Buffer }

/** A route as one worker serves it. */
export type CompiledRoute = {
  readonly id: string
  /** In the order in which requests meet them. */
  readonly onRequest: readonly Policy[]
  /** In the order in which responses meet them. */
  readonly onResponse: readonly Policy[]
  readonly destination: Destination
  readonly mirror: Mirror | null
  /** Of PRIORITY_RANKS. */
  readonly rank: number
  readonly maxBodyBytes: number
  readonly timeoutMs: number
}

export type LogSettings = {
  readonly sampleRatio: number
  readonly headers: readonly string[]
  readonly query: boolean
  readonly redact: ReadonlySet<string>
}

/** What one worker made of one snapshot. Replaced whole by one assignment; lives on until its last exchange is over. */
export class Runtime {
  readonly version: string
  readonly maxUriBytes: number
  readonly router: Router<CompiledRoute>
  readonly peers: Peers
  readonly log: LogSettings | null
  /** By what makes an upstream the same: its name, its part of the document, and the files this names. */
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly auth: AuthSet
  readonly shedding: Document['shedding']
  /** By id of their routes. */
  readonly mirrors: ReadonlyMap<string, Mirror>
  #openExchanges = 0
  #onIdle: (() => void) | null = null

  constructor(parts: {
    version: string, maxUriBytes: number, router: Router<CompiledRoute>, peers: Peers,
    log: LogSettings | null, upstreams: ReadonlyMap<string, Upstream>, auth: AuthSet, shedding: Document['shedding'], mirrors: ReadonlyMap<string, Mirror>,
  }) {
    this.version = parts.version
    this.maxUriBytes = parts.maxUriBytes
    this.router = parts.router
    this.peers = parts.peers
    this.log = parts.log
    this.upstreams = parts.upstreams
    this.auth = parts.auth
    this.shedding = parts.shedding
    this.mirrors = parts.mirrors
  }

  /** Endpoints of an upstream came, went, or changed their health. */
  applyEndpoints(name: string, table: EndpointTable): void {
    for (const upstream of this.upstreams.values()) if (upstream.name === name) upstream.apply(table)
  }

  acquire(): void {
    this.#openExchanges++
  }

  release(): void {
    this.#openExchanges--
    if (this.#openExchanges === 0) this.#onIdle?.()
  }

  /** Closes what `next` does not carry on, when the last exchange is over. */
  retire(next: Runtime): void {
    const carried = new Set(next.upstreams.values())
    this.#onIdle = () => {
      this.#onIdle = null
      for (const upstream of this.upstreams.values()) if (!carried.has(upstream)) upstream.destroy()
    }
    if (this.#openExchanges === 0) this.#onIdle()
  }
}

export function logSettings(config: AccessLogConfig | null): LogSettings | null {
  if (config === null) return null
  return { sampleRatio: config.sampleRatio, headers: config.headers, query: config.query, redact: new Set(config.redact) }
}
