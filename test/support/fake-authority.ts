import type { Authority, GrantReply, GrantRequest } from '../../src/limits/authority.ts'
import type { Random } from './random.ts'
import type { Simulation } from './simulation.ts'

type Bucket = { run: number; tokens: number; atMs: number; contended: Map<number, number> }

export type Network = {
  /** One way, at random up to this. */
  delayMs: number
  dropRatio: number
  /** A reply, at random, that comes this much later. */
  lateRatio: number
  lateMs: number
  isDown: boolean
  /** Of the caller; a question without a reply is then refused. Infinity: never answered. */
  timeoutMs: number
}

/** The arithmetic of LIMITER.md, tier 0, behind a network that can do all that networks do. */
export class FakeAuthority {
  readonly network: Network = { delayMs: 0.2, dropRatio: 0, lateRatio: 0, lateMs: 0, isDown: false, timeoutMs: 50 }
  callCount = 0
  readonly requests: GrantRequest[] = []
  readonly #simulation: Simulation
  readonly #random: Random
  #run = 1
  #epochMs: number
  #buckets = new Map<string, Bucket>()

  constructor(simulation: Simulation, random: Random) {
    this.#simulation = simulation
    this.#random = random
    this.#epochMs = simulation.nowMs() - 3_600_000
  }

  /** Another process, or a replica that has not got all writes: what it knows of the buckets is not believed. */
  restart(): void {
    this.#run++
    this.#epochMs = this.#simulation.nowMs()
  }

  empty(): void {
    this.#buckets = new Map()
    this.restart()
  }

  ofNode(node: number): Authority {
    return { grant: requests => this.#ask(node, requests) }
  }

  #ask(node: number, requests: readonly GrantRequest[]): Promise<readonly GrantReply[]> {
    this.callCount++
    this.requests.push(...requests)
    const { network } = this
    return new Promise((resolve, reject) => {
      if (network.timeoutMs !== Infinity) this.#simulation.in(network.timeoutMs, () => reject(new Error('no reply')))
      if (network.isDown || this.#random.chance(network.dropRatio)) return
      this.#simulation.in(this.#random.next() * network.delayMs, () => {
        const replies = requests.map(request => this.#grant(node, request))
        if (this.#random.chance(network.dropRatio)) return
        const lateMs = this.#random.chance(network.lateRatio) ? network.lateMs : 0
        this.#simulation.in(this.#random.next() * network.delayMs + lateMs, () => resolve(replies))
      })
    })
  }

  #grant(node: number, { bucket: id, requestsPerSecond, capacity, want, atLeast, leaseMs }: GrantRequest): GrantReply {
    const nowMs = this.#simulation.nowMs()
    const known = this.#buckets.get(id)
    const contended = known?.contended ?? new Map<number, number>()
    const tokens = known?.run === this.#run
      ? Math.min(capacity, known.tokens + requestsPerSecond * Math.max(0, nowMs - known.atMs) / 1000)
      : Math.min(capacity, requestsPerSecond * (nowMs - this.#epochMs) / 1000)
    let granted = 0
    if (Math.floor(tokens) < atLeast) granted = 0
    else if (want <= tokens) granted = want
    else {
      contended.set(node, nowMs)
      for (const [other, atMs] of contended) if (nowMs - atMs > leaseMs) contended.delete(other)
      granted = Math.min(want, Math.floor(tokens), Math.max(atLeast, Math.ceil(tokens / contended.size)))
    }
    const left = tokens - granted
    this.#buckets.set(id, { run: this.#run, tokens: left, atMs: Math.max(nowMs, known?.atMs ?? 0), contended })
    const needed = granted === 0 ? atLeast : 1
    const retryAfterMs = granted === want ? 0 : Math.max(0, needed - left) * 1000 / requestsPerSecond
    return { granted, remaining: Math.floor(left), retryAfterMs }
  }
}
