import type { Balancer, BalanceRequest, BalancerDeps, Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'
import { drawUntried, untriedWeight, WeightedChoice, weightsOf } from './weighted-choice.ts'

/** No answer comes faster; what is below was never measured, or so long ago that it has decayed to nothing. */
const UNKNOWN_BELOW_MS = 0.05
/** An unknown endpoint is tried rather than the other, until it has about twice as much under way. */
const UNKNOWN_RATIO = 0.5

/**
 * The cheaper of two endpoints, drawn at random by weight. Cost: latency × requests under way, this one included, over
 * the part of both endpoints' requests that its weight allows it. With equal weights that is the plain
 * latency × (inFlight + 1).
 *
 * The choice is by chance, with odds of (cost of the other / own cost)⁸: one and a half times the cost gets 4 % of the
 * pair, twice 0.4 %. Were it the smaller number always, the noise of two equal latencies would send everything to one,
 * and with little under way the heavier endpoint would get all instead of its share. A lower power sends the slow
 * endpoint more of what a client feels. Even so, with 2,000 requests a second beside one 20 times slower, six under way
 * and the peaks of a busy machine make the good one look half as bad: p99 was 1 to 11 times that of the good one alone
 * (npm run bench -- --scenario slow-endpoint). A higher one outweighs weights.
 * Source: Finagle's peak EWMA; Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing".
 */
export class PeakEwmaBalancer implements Balancer {
  readonly #endpoints: readonly Endpoint[]
  readonly #weights: Float64Array
  readonly #choice: WeightedChoice
  readonly #random: () => number
  readonly #nowMs: () => number

  constructor(candidates: readonly Candidate[], deps: BalancerDeps) {
    this.#endpoints = candidates.map(({ endpoint }) => endpoint)
    this.#weights = weightsOf(candidates)
    this.#choice = new WeightedChoice(this.#weights)
    this.#random = deps.random
    this.#nowMs = deps.nowMs
  }

  pick(_request: BalanceRequest, tried: readonly Endpoint[]): Endpoint {
    const count = this.#endpoints.length
    if (count === 1) return this.#endpoints[0]!
    if (tried.length > 0) {
      const endpoint = this.#pickUntried(tried)
      if (endpoint !== null) return endpoint
    }
    if (count === 2) return this.#cheaper(0, 1, this.#choice.total)
    const first = this.#choice.draw(this.#random())
    return this.#cheaper(first, this.#choice.drawOther(this.#random(), first), this.#choice.total)
  }

  #pickUntried(tried: readonly Endpoint[]): Endpoint | null {
    const first = drawUntried(this.#endpoints, this.#weights, tried, -1, this.#random())
    if (first === -1) return null
    const second = drawUntried(this.#endpoints, this.#weights, tried, first, this.#random())
    if (second === -1) return this.#endpoints[first]!
    return this.#cheaper(first, second, untriedWeight(this.#endpoints, this.#weights, tried, -1))
  }

  /** `total`: weight of all that the two were drawn from. */
  #cheaper(first: number, second: number, total: number): Endpoint {
    const a = this.#endpoints[first]!
    const b = this.#endpoints[second]!
    const weightA = this.#weights[first]!
    const weightB = this.#weights[second]!
    const nowMs = this.#nowMs()
    let latencyA = a.latency.value(nowMs)
    let latencyB = b.latency.value(nowMs)
    if (latencyA < UNKNOWN_BELOW_MS) {
      if (latencyB < UNKNOWN_BELOW_MS) latencyA = latencyB = 1
      else latencyA = latencyB * UNKNOWN_RATIO
    } else if (latencyB < UNKNOWN_BELOW_MS) latencyB = latencyA * UNKNOWN_RATIO

    const fairForWeight = (a.inFlight + b.inFlight) / (weightA + weightB)
    const costA = latencyA * (a.inFlight + 1) / (fairForWeight * weightA + 1)
    const costB = latencyB * (b.inFlight + 1) / (fairForWeight * weightB + 1)
    const ratio = costB / costA
    // Which of a pair was drawn first has odds of (total - weightB) : (total - weightA). With equal costs these are kept,
    // which gives each endpoint exactly its share of all; of two endpoints alone they are the weights.
    const power2 = ratio * ratio
    const power4 = power2 * power2
    const partA = power4 * power4 * (total - weightB)
    return this.#random() * (partA + total - weightA) < partA ? a : b
  }
}
