import type { Balancer, BalanceRequest, BalancerDeps, Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'
import { WeightedChoice, weightsOf } from './weighted-choice.ts'

/** Up to here all are looked at (about 2 ns each); beyond, the better of two at random: an exchange costs 10 µs. */
const MAX_SCANNED = 64

/**
 * The endpoint with the fewest requests under way for its weight, this one included; among equals each in turn.
 * Weights are capacity here: with little under way the heaviest is the best, and gets more than its share.
 * Source: LVS's "shortest expected delay".
 */
export class LeastRequests implements Balancer {
  readonly #endpoints: readonly Endpoint[]
  readonly #weights: Float64Array
  readonly #choice: WeightedChoice
  readonly #random: () => number
  #next: number

  constructor(candidates: readonly Candidate[], deps: BalancerDeps) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint)
    this.#weights = weightsOf(candidates)
    this.#choice = new WeightedChoice(this.#weights)
    this.#random = deps.random
    // Sets workers apart, so that they do not move in step.
    this.#next = Math.floor(deps.random() * candidates.length)
  }

  pick(_request: BalanceRequest, tried: readonly Endpoint[]): Endpoint {
    if (tried.length > 0) {
      const index = this.#scan(tried)
      if (index !== -1) return this.#endpoints[index]!
    }
    const index = this.#endpoints.length > MAX_SCANNED ? this.#betterOfTwo() : this.#scan(null)
    return this.#endpoints[index]!
  }

  #scan(tried: readonly Endpoint[] | null): number {
    const endpoints = this.#endpoints
    let best = -1
    let bestLoad = 0
    let bestWeight = 1
    let index = this.#next
    for (let step = endpoints.length; step > 0; step--) {
      const endpoint = endpoints[index]!
      const load = endpoint.inFlight + 1
      const weight = this.#weights[index]!
      // Cross-multiplied: load / weight without a division.
      if ((best === -1 || load * bestWeight < bestLoad * weight) && (tried === null || !tried.includes(endpoint))) {
        best = index
        bestLoad = load
        bestWeight = weight
      }
      if (++index === endpoints.length) index = 0
    }
    if (best !== -1) this.#next = best + 1 === endpoints.length ? 0 : best + 1
    return best
  }

  /** Drawn by weight: else a heavy one would be looked at, and so chosen, no more often than a light one. */
  #betterOfTwo(): number {
    const first = this.#choice.draw(this.#random())
    const second = this.#choice.drawOther(this.#random(), first)
    const firstLoad = (this.#endpoints[first]!.inFlight + 1) * this.#weights[second]!
    const secondLoad = (this.#endpoints[second]!.inFlight + 1) * this.#weights[first]!
    return secondLoad < firstLoad ? second : first
  }
}
