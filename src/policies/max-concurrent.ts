import { Failure } from '../base/failure.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { ConcurrencyTable } from '../limits/concurrency-table.ts'
import { compileLimitKey, type LimitKey } from './limit-key.ts'
import type { Policy, PolicyExchange, PolicySpec, Verdict } from './policy.ts'

export type MaxConcurrentConfig = NonNullable<RouteConfig['maxConcurrent']>

/**
 * Limits how many requests of a key are under way on a route, over all workers of this process; a worker that ends gives
 * back what it had. Stands after auth, and before the limits, which are not charged for what it denies.
 *
 * The number is not part of the key: a reload that changes it goes on with what is under way.
 *
 * Failures: GW_CONCURRENCY_LIMITED.
 */
export const maxConcurrent: PolicySpec = {
  name: 'maxConcurrent',
  create: ({ id, maxConcurrent }, deps) => (maxConcurrent === undefined ? null : new MaxConcurrent(id, maxConcurrent, deps.limits.concurrency)),
}

export class MaxConcurrent implements Policy {
  readonly #table: ConcurrencyTable
  readonly #most: number
  readonly #keyOf: LimitKey
  readonly #seeds: readonly [number, number]

  constructor(routeId: string, { requests, key, ipv6PrefixBits }: MaxConcurrentConfig, table: ConcurrencyTable) {
    this.#table = table
    this.#most = requests
    this.#keyOf = compileLimitKey(key, ipv6PrefixBits)
    this.#seeds = table.seedsOf(JSON.stringify([routeId, key, ipv6PrefixBits]))
  }

  onRequest(exchange: PolicyExchange): Verdict {
    const place = this.#table.enter(this.#keyOf(exchange), this.#seeds, this.#most)
    if (place === 0) return new Failure('GW_CONCURRENCY_LIMITED')
    exchange.whenFinished(() => this.#table.leave(place))
    return null
  }
}
