import type { UpstreamConfig } from '../config/schema.ts'
import type { Endpoint } from './endpoint.ts'

/** What a balancer may want to know of the request; null stands for none (a probe, a test). */
export interface BalanceRequest {
  /** The value of `ip`, `header:NAME`, `cookie:NAME`, `query:NAME` or `param:NAME`; undefined without one. */
  keyValue(key: string): string | undefined
}

/** An endpoint that may be chosen, with its share; weights may be fractions while an endpoint comes back slowly. */
export type Candidate = { readonly endpoint: Endpoint; readonly weight: number }

/** Chooses among the candidates that it was made with; another set of candidates is another balancer. */
export interface Balancer {
  /** Never one of `tried`, unless there is no other. */
  pick(request: BalanceRequest, tried: readonly Endpoint[]): Endpoint
  /** The value of Set-Cookie for an answer of `endpoint`; null when the client has it already. Absent: none ever. */
  cookieFor?(request: BalanceRequest, endpoint: Endpoint): string | null
}

export type BalanceConfig = UpstreamConfig['balance']

/** `random`: 0 to below 1. `nowMs`: of the monotonic clock. */
export type BalancerDeps = { readonly random: () => number; readonly nowMs: () => number }
