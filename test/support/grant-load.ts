import type { Authority, GrantReply } from '../../src/limits/authority.ts'
import type { Random } from './random.ts'

export type GrantLoadOptions = {
  readonly bucket: string
  readonly requestsPerSecond: number
  /** What the promise names B; grants are made against B − R·L. */
  readonly burst: number
  readonly leaseMs: number
  readonly random: Random
}

/**
 * Nodes that ask one bucket as fast as they are answered and use what they get as badly as they may: each token at any moment
 * from its reply to the end of its lease. Remembers when each was used.
 */
export class GrantLoad {
  /** When tokens were used, on this process's clock in milliseconds; in no order. */
  readonly usedAtMs: number[] = []
  /** Codes of the calls that failed. */
  readonly failures: string[] = []
  /** True: the nodes ask for nothing, so that the bucket fills. */
  isResting = false
  #isStopped = false
  readonly #options: GrantLoadOptions
  readonly #nodes: Promise<void>[]

  constructor(authorities: readonly Authority[], options: GrantLoadOptions) {
    this.#options = options
    this.#nodes = authorities.map(authority => this.#run(authority))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#nodes)
  }

  /** The most that was ever above the rate: the promise is that it is at most the burst. */
  get highestLevel(): number {
    let level = 0
    let highest = 0
    let lastMs = -Infinity
    for (const atMs of [...this.usedAtMs].sort((a, b) => a - b)) {
      level = Math.max(0, level - (atMs - lastMs) * this.#options.requestsPerSecond / 1000) + 1
      lastMs = atMs
      highest = Math.max(highest, level)
    }
    return highest
  }

  async #run(authority: Authority): Promise<void> {
    const { bucket, requestsPerSecond, burst, leaseMs, random } = this.#options
    const capacity = burst - requestsPerSecond * leaseMs / 1000
    while (!this.#isStopped) {
      if (this.isResting) {
        await new Promise(resolve => setTimeout(resolve, 2))
        continue
      }
      const sentAtMs = performance.now()
      let reply: GrantReply | undefined
      try {
        [reply] = await authority.grant([{ bucket, requestsPerSecond, capacity, want: 1 + random.below(Math.floor(capacity)), atLeast: 1, leaseMs }])
      } catch (cause) {
        this.failures.push((cause as { code: string }).code)
      }
      const nowMs = performance.now()
      const endMs = sentAtMs + leaseMs
      if (reply !== undefined && nowMs < endMs) {
        for (let i = 0; i < reply.granted; i += 1) this.usedAtMs.push(random.chance(0.5) ? nowMs : nowMs + random.next() * (endMs - nowMs))
      }
      await new Promise(resolve => setTimeout(resolve, random.below(10)))
    }
  }
}
