import type { Balancer, BalanceRequest, BalancerDeps, Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'
import { stringHash } from '../../base/string-hash.ts'
import { buildMaglevTable } from './maglev-table.ts'
import { drawUntried, WeightedChoice, weightsOf } from './weighted-choice.ts'

const KEY_SEED = 0x6b65_7973
/** An endpoint takes this many times its share of what is under way; then its keys go on to others. */
const MAX_LOAD_RATIO = 1.25
/** Below it no endpoint is overloaded: with three requests under way the bound alone would send each third one astray. */
const LEAST_BOUND = 4
/** Slots looked at for one request; when all are of endpoints that are full, the endpoints themselves are gone through. */
const MAX_SLOTS_LOOKED_AT = 256

/**
 * Requests with the same value of `key` go to the same endpoint, on every worker and node, unless it has too much under
 * way in this worker: then to that of the next slot, again the same one. Without a value: at random by weight.
 * Source: the Maglev paper; Mirrokni and others, "Consistent Hashing with Bounded Loads".
 */
export class Maglev implements Balancer {
  readonly #key: string
  readonly #endpoints: readonly Endpoint[]
  readonly #weights: Float64Array
  readonly #choice: WeightedChoice
  readonly #table: Uint16Array
  readonly #random: () => number

  constructor(key: string, candidates: readonly Candidate[], deps: BalancerDeps) {
    this.#key = key
    this.#endpoints = candidates.map(({ endpoint }) => endpoint)
    this.#weights = weightsOf(candidates)
    this.#choice = new WeightedChoice(this.#weights)
    this.#table = buildMaglevTable(this.#endpoints.map(({ address }) => address.url), this.#weights)
    this.#random = deps.random
  }

  pick(request: BalanceRequest, tried: readonly Endpoint[]): Endpoint {
    if (this.#endpoints.length === 1) return this.#endpoints[0]!
    const value = request.keyValue(this.#key)
    if (value === undefined) return this.#endpoints[this.#drawIndex(tried)]!
    const hash = stringHash(value, KEY_SEED) >>> 0
    const endpoint = this.#endpoints[this.#table[hash % this.#table.length]!]!
    // Most are idle where traffic is light: then there is nothing to add up.
    if (endpoint.inFlight === 0 && tried.length === 0) return endpoint
    return this.#firstWithRoom(hash, tried)
  }

  #drawIndex(tried: readonly Endpoint[]): number {
    if (tried.length > 0) {
      const index = drawUntried(this.#endpoints, this.#weights, tried, -1, this.#random())
      if (index !== -1) return index
    }
    return this.#choice.draw(this.#random())
  }

  #firstWithRoom(hash: number, tried: readonly Endpoint[]): Endpoint {
    const table = this.#table
    const loadForWeight = this.#maxLoadForWeight()
    let slot = hash % table.length
    for (let step = 0; step < MAX_SLOTS_LOOKED_AT; step++) {
      const index = table[slot]!
      const endpoint = this.#endpoints[index]!
      if (endpoint.inFlight < Math.max(LEAST_BOUND, Math.ceil(loadForWeight * this.#weights[index]!)) && !isIn(tried, endpoint)) return endpoint
      if (++slot === table.length) slot = 0
    }
    return this.#leastFull(tried)
  }

  /** There is always one below its bound, since the bounds add up to more than what is under way; but it may be tried. */
  #leastFull(tried: readonly Endpoint[]): Endpoint {
    let best: Endpoint | null = null
    let bestLoad = Infinity
    for (const [index, endpoint] of this.#endpoints.entries()) {
      const load = (endpoint.inFlight + 1) / this.#weights[index]!
      if (load >= bestLoad || isIn(tried, endpoint)) continue
      best = endpoint
      bestLoad = load
    }
    return best ?? this.#leastFull([])
  }

  #maxLoadForWeight(): number {
    let inFlight = 1
    for (let i = 0; i < this.#endpoints.length; i++) inFlight += this.#endpoints[i]!.inFlight
    return MAX_LOAD_RATIO * inFlight / this.#choice.total
  }
}

function isIn(tried: readonly Endpoint[], endpoint: Endpoint): boolean {
  return tried.length > 0 && tried.includes(endpoint)
}
