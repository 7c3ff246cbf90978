import { mix, stringHash, unitOf } from '../base/string-hash.ts'

/** `weight`: its share beside the other weights; 0 gets nothing. */
export type SplitPart<T> = { readonly target: T; readonly weight: number }

/** What keeps the draws of two parts apart: a step that is far from a multiple of anything (2^32 over the golden ratio). */
const PART_STEP = 0x9e3779b9

/**
 * Shares requests among parts by weight. Requests with one value always go to one part, on every worker and node. When a
 * weight grows, values move to that part and nowhere else; when it shrinks, only its own move: so a ramp of 1, 5, 50,
 * 100 never takes a value back, and with three parts the other two exchange none.
 *
 * It is weighted rendezvous hashing: each part draws a number u from the value, and the greatest u^(1/weight) wins. One
 * draw against the running sum of the weights would be cheaper (47 against 80 ns, hash included), but with three parts a weight that
 * grows would push values from one of the others to the next. A part is known by its place in the list: new ones belong
 * at its end. Source: C. Schindelhauer, G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005.
 */
export class Split<T> {
  readonly #targets: readonly T[]
  readonly #weights: readonly number[]
  readonly #totalWeight: number
  readonly #seeds: readonly number[]
  readonly #seed: number

  /** `seedText` (the id of the route) makes the splits of two routes independent. Throws when no part has a weight. */
  constructor(parts: readonly SplitPart<T>[], seedText: string) {
    this.#seed = stringHash(seedText, 0)
    const seeds = parts.map((_, index) => Math.imul(index + 1, PART_STEP))
    const used = parts.map((part, index) => ({ ...part, seed: seeds[index]! })).filter(part => part.weight > 0)
    if (used.length === 0) throw new Error(`split of '${seedText}': no part has a weight; give one a weight above 0`)
    this.#targets = used.map(part => part.target)
    this.#weights = used.map(part => part.weight)
    this.#seeds = used.map(part => part.seed)
    this.#totalWeight = this.#weights.reduce((sum, weight) => sum + weight)
  }

  /** `value` undefined: by `random` (0 to below 1). */
  pick(value: string | undefined, random: () => number): T {
    const targets = this.#targets
    if (targets.length === 1) return targets[0]!
    return targets[value === undefined ? this.#drawn(random()) : this.#chosen(stringHash(value, this.#seed))]!
  }

  #drawn(unit: number): number {
    let rest = unit * this.#totalWeight
    const last = this.#weights.length - 1
    for (let i = 0; i < last; i++) {
      rest -= this.#weights[i]!
      if (rest < 0) return i
    }
    return last
  }

  #chosen(hash: number): number {
    let best = 0
    let bestScore = -Infinity
    for (let i = 0; i < this.#seeds.length; i++) {
      // log(u) / weight orders as u^(1 / weight) does. Off from 0 by half a step: its logarithm is no number.
      const score = Math.log(unitOf(mix(hash ^ this.#seeds[i]!)) + HALF_STEP) / this.#weights[i]!
      if (score > bestScore) {
        bestScore = score
        best = i
      }
    }
    return best
  }
}

const HALF_STEP = 0.5 / 4_294_967_296
