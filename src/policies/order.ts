import type { RouteConfig } from '../config/schema.ts'
import { auth } from './auth/auth.ts'
import { fault } from './fault.ts'
import { ip } from './ip.ts'
import { limits } from './limits.ts'
import { maxConcurrent } from './max-concurrent.ts'
import type { Policy, PolicyDeps, PolicySpec } from './policy.ts'
import { requestTransform } from './request-transform.ts'
import { responseTransform } from './response-transform.ts'

/**
 * The order on every route, the same for all, so that it can't be got wrong in a document:
 * cors, ip, auth, acl, maxConcurrent, limits, validate, cache, fault, request transform | send | response transform, cache store, cors.
 * Requests meet the policies from first to last, responses from last to first.
 */
const POLICY_ORDER: readonly PolicySpec[] = [
  ip,
  auth,
  // Before the limits: what it denies is charged to none of them.
  maxConcurrent,
  limits,
  fault,
  requestTransform,
  responseTransform,
]

const NONE: readonly Policy[] = []

/** The policies of a route, each in its place. Routes without any share one empty list. */
export function createPolicies(route: RouteConfig, deps: PolicyDeps): { onRequest: readonly Policy[]; onResponse: readonly Policy[] } {
  const policies = POLICY_ORDER.map(spec => spec.create(route, deps)).filter(policy => policy !== null)
  if (policies.length === 0) return { onRequest: NONE, onResponse: NONE }
  return {
    onRequest: policies.filter(policy => policy.onRequest !== undefined),
    onResponse: policies.filter(policy => policy.onResponse !== undefined).reverse(),
  }
}
