import { Failure } from '../base/failure.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { LimitSettings } from '../limits/limit-settings.ts'
import type { Decision, Limiter } from '../limits/limiter.ts'
import { compileLimitKey, type LimitKey } from './limit-key.ts'
import type { Policy, PolicyExchange, PolicySpec, Verdict } from './policy.ts'

export type LimitConfig = NonNullable<RouteConfig['limits']>[number]

/**
 * Limits requests by key with token buckets. Stands after auth: `key: consumer` needs to know who asks.
 *
 * Tells what is left on admitted and denied requests, for all limits but those in shadow:
 *
 *     RateLimit-Policy: "default";q=100;w=2      100 tokens, refilled within 2 seconds
 *     RateLimit: "default";r=50;t=1              50 left, full again in a second; of what denied: when to come again
 *
 * Failures: GW_RATE_LIMITED (who waits as long as Retry-After says is admitted, if nobody else of the key asks
 * meanwhile), GW_STORE_UNAVAILABLE (only with `onStoreFailure: deny`).
 * Source: draft-ietf-httpapi-ratelimit-headers; RFC 6585 section 4; RFC 9110 section 10.2.3 (Retry-After counts whole seconds).
 */
export const limits: PolicySpec = {
  name: 'limits',
  create: ({ id, limits }, deps) => {
    if (limits === undefined) return null
    const onShadowDenial = (index: number): void => deps.limits.onShadowDenial(id, limits[index]!.name)
    return new Limits(limits, deps.limits.limiterOf(limits.map(limit => limitSettingsOf(id, limit)), onShadowDenial))
  },
}

export class Limits implements Policy {
  readonly #names: readonly string[]
  readonly #isTold: readonly boolean[]
  readonly #keys: readonly LimitKey[]
  readonly #limiter: Limiter
  /** Null where all limits are in shadow. */
  readonly #policyHeader: string | null
  /** Of the request at hand: the limiter does not keep it. */
  readonly #values: string[]

  constructor(configs: readonly LimitConfig[], limiter: Limiter) {
    this.#limiter = limiter
    this.#names = configs.map(({ name }) => `"${name}"`)
    this.#isTold = configs.map(({ shadow }) => !shadow)
    this.#keys = configs.map(({ key, ipv6PrefixBits }) => compileLimitKey(key, ipv6PrefixBits))
    this.#values = configs.map(() => '')
    const told = configs.filter(({ shadow }) => !shadow)
    this.#policyHeader = told.length === 0 ? null : told.map(quotaText).join(', ')
  }

  onRequest(exchange: PolicyExchange): Verdict | Promise<Verdict> {
    for (let index = 0; index < this.#keys.length; index++) this.#values[index] = this.#keys[index]!(exchange)
    const decision = this.#limiter.take(this.#values)
    return decision instanceof Promise ? decision.then(late => this.#verdictOf(late, exchange)) : this.#verdictOf(decision, exchange)
  }

  #verdictOf(decision: Decision, exchange: PolicyExchange): Verdict {
    if (this.#policyHeader !== null) {
      exchange.addResponseHeader('ratelimit-policy', this.#policyHeader)
      const left = this.#leftText(decision)
      if (left !== '') exchange.addResponseHeader('ratelimit', left)
    }
    if (decision.outcome === 'admitted') return null
    const cause = `limit ${this.#names[decision.deniedBy]!}`
    return new Failure(decision.outcome === 'denied' ? 'GW_RATE_LIMITED' : 'GW_STORE_UNAVAILABLE', cause, decision.retryAfterMs)
  }

  #leftText(decision: Decision): string {
    let text = ''
    for (let index = 0; index < this.#names.length; index++) {
      const remaining = decision.remaining[index]!
      if (!this.#isTold[index]! || remaining === null) continue
      const isDenied = decision.outcome === 'denied' && index === decision.deniedBy
      // A client that reads `r` as what it may send must read 0 where its request was too dear.
      const left = isDenied ? 0 : remaining
      const seconds = isDenied ? Math.max(1, Math.ceil(decision.retryAfterMs / 1000)) : Math.ceil(decision.fullInMs[index]! / 1000)
      text += `${text === '' ? '' : ', '}${this.#names[index]!};r=${left};t=${seconds}`
    }
    return text
  }
}

/** Rate and burst are in the version: a limit that a reload changes is a new bucket, one that it does not change goes on. */
export function limitSettingsOf(routeId: string, config: LimitConfig): LimitSettings {
  const { name, requestsPerSecond, burstRequests, key, ipv6PrefixBits, cost, onStoreFailure, maxNodes, shadow } = config
  return {
    version: JSON.stringify([routeId, name, requestsPerSecond, burstRequests, key, ipv6PrefixBits]),
    requestsPerSecond, burstRequests, cost, onStoreFailure, maxNodes, isShadow: shadow,
  }
}

/** The burst, and the seconds in which it comes back; of a burst that takes less than one, what comes in a second. */
function quotaText({ name, requestsPerSecond, burstRequests }: LimitConfig): string {
  const seconds = Math.ceil(burstRequests / requestsPerSecond)
  const quota = burstRequests < requestsPerSecond ? Math.floor(requestsPerSecond) : burstRequests
  return `"${name}";q=${quota};w=${seconds}`
}
