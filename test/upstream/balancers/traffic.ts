import type { BalanceConfig, Balancer, BalanceRequest, Candidate } from '../../../src/upstream/balancer.ts'
import { createBalancer } from '../../../src/upstream/balancers/create-balancer.ts'
import { Endpoint, parseEndpoint } from '../../../src/upstream/endpoint.ts'
import type { Pool } from '../../../src/upstream/pool.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { Random } from '../../support/random.ts'

export const STICKY: BalanceConfig = { sticky: { cookie: 'sid', secret: 'a secret of the tests', maxAgeSeconds: null } }

export const noKey: BalanceRequest = { keyValue: () => undefined }

export function requestWith(values: Readonly<Record<string, string>>): BalanceRequest {
  return { keyValue: key => values[key] }
}

/** One endpoint for each weight; the n-th is http://10.0.0.n:80. */
export function candidatesOf(...weights: number[]): Candidate[] {
  return weights.map((weight, i) => ({
    weight,
    endpoint: new Endpoint(parseEndpoint(`http://10.0.${i >> 8}.${(i & 255) + 1}:80`), () => null as unknown as Pool),
  }))
}

type Open = { readonly index: number; readonly startedMs: number; readonly endsMs: number }

/** A closed loop: `concurrency` clients, each of which sends its next request when it has its answer. */
export class Traffic {
  readonly clock = new ManualClock()
  readonly random: Random
  readonly candidates: readonly Candidate[]
  readonly balancer: Balancer
  /** How long an answer of the endpoint takes, and what the balancer gets to know of it. */
  latencyMsOf: (index: number) => number = () => 9 + 2 * this.random.next()
  observedMsOf: (index: number, latencyMs: number) => number = (_index, latencyMs) => latencyMs
  nextRequest: () => BalanceRequest = () => requestWith({ ip: `10.0.${this.random.below(250)}.${this.random.below(250)}` })
  readonly #open: Open[] = []

  constructor(balance: BalanceConfig, candidates: readonly Candidate[], seed = 1) {
    this.random = new Random(seed)
    this.candidates = candidates
    this.balancer = createBalancer(balance, candidates, { random: () => this.random.next(), nowMs: () => this.clock.nowMs() })
  }

  /** Sends `count` requests; their shares by endpoint. What is under way at the end stays so. */
  run(concurrency: number, count: number): number[] {
    const counts = this.candidates.map(() => 0)
    for (let sent = 0; sent < count; sent++) {
      while (this.#open.length >= concurrency) this.#finishFirst()
      const endpoint = this.balancer.pick(this.nextRequest(), [])
      const index = this.candidates.findIndex(candidate => candidate.endpoint === endpoint)
      counts[index]!++
      endpoint.inFlight++
      const startedMs = this.clock.nowMs()
      this.#open.push({ index, startedMs, endsMs: startedMs + this.latencyMsOf(index) })
    }
    return counts.map(sent => sent / count)
  }

  finishAll(): void {
    while (this.#open.length > 0) this.#finishFirst()
  }

  #finishFirst(): void {
    const first = this.#open.reduce((best, item) => (item.endsMs < best.endsMs ? item : best))
    this.#open.splice(this.#open.indexOf(first), 1)
    this.clock.advance(Math.max(0, first.endsMs - this.clock.nowMs()))
    const { endpoint } = this.candidates[first.index]!
    endpoint.inFlight--
    endpoint.latency.observe(this.observedMsOf(first.index, first.endsMs - first.startedMs), this.clock.nowMs())
  }
}
