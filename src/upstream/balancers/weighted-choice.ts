import type { Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'

/** An endpoint that has just come back may stand at 0; it must not stop the arithmetic. */
const MIN_WEIGHT = 1e-6

export function weightsOf(candidates: readonly Candidate[]): Float64Array {
  return Float64Array.from(candidates, ({ weight }) => Math.max(weight, MIN_WEIGHT))
}

/** Draws indexes at random by weight, in O(log n) and without allocation. `random` is always 0 to below 1. */
export class WeightedChoice {
  readonly total: number
  readonly #weights: Float64Array
  /** Sums of the weights so far: index i has the points from the end before it to its own. */
  readonly #ends: Float64Array

  constructor(weights: Float64Array) {
    this.#weights = weights
    let sum = 0
    this.#ends = weights.map(weight => (sum += weight))
    this.total = sum
  }

  draw(random: number): number {
    return this.#at(random * this.total)
  }

  /** Another one than `taken`, by weight among the others; there must be one. */
  drawOther(random: number, taken: number): number {
    const weight = this.#weights[taken]!
    const point = random * (this.total - weight)
    const index = this.#at(point < this.#ends[taken]! - weight ? point : point + weight)
    if (index !== taken) return index
    // Only rounding leads here.
    return taken === 0 ? 1 : taken - 1
  }

  #at(point: number): number {
    const ends = this.#ends
    let low = 0
    let high = ends.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (ends[middle]! > point) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** By weight among the endpoints that are neither in `tried` nor at `except`; -1 without one. For retries: O(n). */
export function drawUntried(
  endpoints: readonly Endpoint[], weights: Float64Array, tried: readonly Endpoint[], except: number, random: number,
): number {
  let point = random * untriedWeight(endpoints, weights, tried, except)
  let last = -1
  for (let i = 0; i < endpoints.length; i++) {
    if (i === except || tried.includes(endpoints[i]!)) continue
    last = i
    point -= weights[i]!
    if (point < 0) break
  }
  return last
}

export function untriedWeight(
  endpoints: readonly Endpoint[], weights: Float64Array, tried: readonly Endpoint[], except: number,
): number {
  let total = 0
  for (let i = 0; i < endpoints.length; i++) if (i !== except && !tried.includes(endpoints[i]!)) total += weights[i]!
  return total
}
