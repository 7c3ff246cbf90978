import type { Balancer, BalanceRequest, BalancerDeps, Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'
import { Turns } from './turns.ts'
import { weightsOf } from './weighted-choice.ts'

/** Each endpoint in turn, by weight. Every worker starts with another order, so that they do not move in step. */
export class RoundRobin implements Balancer {
  readonly #endpoints: readonly Endpoint[]
  readonly #turns: Turns

  constructor(candidates: readonly Candidate[], deps: BalancerDeps) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint)
    this.#turns = new Turns(weightsOf(candidates), () => deps.random())
  }

  pick(_request: BalanceRequest, tried: readonly Endpoint[]): Endpoint {
    if (tried.length > 0) {
      const index = this.#turns.nextWhere(index => !tried.includes(this.#endpoints[index]!))
      if (index !== -1) return this.#endpoints[index]!
    }
    return this.#endpoints[this.#turns.next()]!
  }
}
