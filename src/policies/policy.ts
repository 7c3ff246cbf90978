import type { Failure } from '../base/failure.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { Headers } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import type { LimitService } from '../limits/limit-service.ts'
import type { AuthDeps } from './auth/authenticator.ts'

/** Who asks, as an authenticator found. */
export type Identity = {
  /** Name of the authenticator in the document. */
  readonly authenticator: string
  /** Subject of a token, id of a key's owner, name of a user: for logs and as a key of last resort. */
  readonly subject: string
  /** null: known by its subject only. */
  readonly consumer: Consumer | null
  readonly scopes: readonly string[]
  /** Of a token or an introspection; null: none. */
  readonly claims: Readonly<Record<string, unknown>> | null
}

/** Somebody whom the document names. */
export type Consumer = {
  readonly id: string
  /** Name of a plan; null: none. */
  readonly plan: string | null
  readonly groups: readonly string[]
}

/** What a policy may know and change of an exchange. */
export interface PolicyExchange {
  /** null: nobody has asked, or nobody is known. */
  identity: Identity | null
  readonly isTls: boolean
  /** Adds a line to whatever answer the exchange gets, also to a failure; costs no copy of the upstream's lines. */
  addResponseHeader(name: string, value: string): void
  /** `run` is called once, when the exchange is over, however it ended. */
  whenFinished(run: () => void): void
  readonly request: RequestHead
  readonly routeId: string
  readonly requestId: string
  /** Without a port; behind trusted proxies the client's, else the peer's. */
  readonly clientIp: string
  /** Of the match, as it stands in the path (percent-encoded); undefined when the pattern has no such name. */
  parameter(name: string): string | undefined
  /** Path for the upstream, without the query. */
  upstreamPath: string
}

/** An answer of the gateway itself, in place of the destination's. */
export type Answer = {
  readonly status: number
  readonly headers: Headers
  readonly body: Uint8Array
}

/** What a policy says to a request: go on (null), an answer, or a failure. */
export type Verdict = Answer | Failure | null

/**
 * A step that a route applies to a request, its response, or both. One instance a route and worker; what differs
 * between requests is in the exchange. Failures are values; what is thrown is a fault of the gateway.
 */
export interface Policy {
  onRequest?(exchange: PolicyExchange): Verdict | Promise<Verdict>
  /** `headers` is the policy's to change; names are in lower case. */
  onResponse?(exchange: PolicyExchange, status: number, headers: Headers): void
}

/** What policies share beyond their route; made once a runtime or once a worker. */
export type PolicyDeps = {
  readonly nowMs: () => number
  readonly auth: AuthDeps
  readonly limits: LimitService
}

/** Makes a policy of what a route says; null when the route does not ask for it, so that it costs nothing. */
export type PolicySpec = {
  readonly name: string
  create(route: RouteConfig, deps: PolicyDeps): Policy | null
}
