import type { UpstreamConfig } from '../config/schema.ts'
import type { Endpoint } from './endpoint.ts'

/** Chooses the endpoint for one call. */
export interface Balancer {
  pick(): Endpoint
}

export type BalancerName = UpstreamConfig['balance']

/** One explicit list: name to constructor. `start` (0–1) sets workers apart, so that they do not move in step. */
const BALANCERS: Record<BalancerName, (endpoints: readonly Endpoint[], start: number) => Balancer> = {
  'round-robin': (endpoints, start) => new RoundRobin(endpoints, start),
  'least-requests': (endpoints, start) => new LeastRequests(endpoints, start),
}

export function createBalancer(name: BalancerName, endpoints: readonly Endpoint[], start: number): Balancer {
  return BALANCERS[name](endpoints, start)
}

/**
 * Each endpoint in turn, by weight, the turns of a heavy one spread out (nginx's smooth weighted round robin).
 * The order repeats after the sum of the weights, so it is made once.
 */
class RoundRobin implements Balancer {
  readonly #order: readonly Endpoint[]
  #next: number

  constructor(endpoints: readonly Endpoint[], start: number) {
    this.#order = smoothOrder(endpoints)
    this.#next = Math.floor(start * this.#order.length)
  }

  pick(): Endpoint {
    const endpoint = this.#order[this.#next]!
    this.#next = this.#next + 1 === this.#order.length ? 0 : this.#next + 1
    return endpoint
  }
}

/** The endpoint with the fewest requests under way for its weight; among equals each in turn. */
class LeastRequests implements Balancer {
  readonly #endpoints: readonly Endpoint[]
  #next: number

  constructor(endpoints: readonly Endpoint[], start: number) {
    this.#endpoints = endpoints
    this.#next = Math.floor(start * endpoints.length)
  }

  pick(): Endpoint {
    const endpoints = this.#endpoints
    let best = endpoints[this.#next]!
    let bestIndex = this.#next
    for (let step = 1; step < endpoints.length; step++) {
      const index = (this.#next + step) % endpoints.length
      const endpoint = endpoints[index]!
      // Cross-multiplied: (inFlight + 1) / weight without a division.
      if ((endpoint.inFlight + 1) * best.address.weight < (best.inFlight + 1) * endpoint.address.weight) {
        best = endpoint
        bestIndex = index
      }
    }
    this.#next = (bestIndex + 1) % endpoints.length
    return best
  }
}

function smoothOrder(endpoints: readonly Endpoint[]): Endpoint[] {
  const divisor = endpoints.map(endpoint => endpoint.address.weight).reduce(greatestCommonDivisor)
  const weights = endpoints.map(endpoint => endpoint.address.weight / divisor)
  const total = weights.reduce((sum, weight) => sum + weight)
  const credits = weights.map(() => 0)
  const order: Endpoint[] = []
  for (let turn = 0; turn < total; turn++) {
    let best = 0
    for (let i = 0; i < weights.length; i++) {
      credits[i]! += weights[i]!
      if (credits[i]! > credits[best]!) best = i
    }
    credits[best]! -= total
    order.push(endpoints[best]!)
  }
  return order
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
