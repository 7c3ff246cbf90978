import { randomBytes } from 'node:crypto'
import { stringHash } from '../base/string-hash.ts'
import type { Authority, GrantReply, GrantRequest } from '../limits/authority.ts'
import { GRANT } from './grant-script.ts'
import type { RedisClient } from './redis-client.ts'
import { RedisError } from './redis-error.ts'
import type { RedisNode } from './redis-node.ts'

/** Groups of buckets of a cluster, each on one master: so many masters share the load at most. */
const CLUSTER_GROUPS = 16
/** Of one script call, during which Redis does nothing else: about a millisecond. */
const MAX_BUCKETS = 128
/** 64 bits of a run_id: enough to tell one server process from the next. */
const RUN_DIGITS = 16
const FIELDS = 3

/**
 * Buckets in Redis, debited by a Lua script (grant-script.ts) with the time of Redis. It names the server process at the other
 * end of this very connection, so that what a failover or a restart has lost counts as empty.
 *
 * In a cluster the buckets of a call may be on several masters; if one of them fails the call rejects, and what the others
 * granted is burned. A caller that wants to keep masters apart asks for one `groupOf` a call.
 */
export class RedisAuthority implements Authority {
  readonly #client: RedisClient
  readonly #node: string
  readonly #groups: number

  /** `node`: tells this gateway from the others that share the buckets. */
  constructor(client: RedisClient, node: string = randomBytes(6).toString('base64url')) {
    this.#client = client
    this.#node = node
    this.#groups = client.isCluster ? CLUSTER_GROUPS : 1
  }

  groupOf(bucket: string): number {
    return this.#groups === 1 ? 0 : (stringHash(bucket, 0) >>> 0) % this.#groups
  }

  /** Rejects with RedisError. */
  async grant(requests: readonly GrantRequest[]): Promise<readonly GrantReply[]> {
    if (this.#groups === 1 && requests.length <= MAX_BUCKETS) return this.#grantGroup(0, requests)
    const replies = new Array<GrantReply>(requests.length)
    await Promise.all(this.#batches(requests).map(async ({ group, places }) => {
      const granted = await this.#grantGroup(group, places.map(place => requests[place]!))
      places.forEach((place, index) => { replies[place] = granted[index]! })
    }))
    return replies
  }

  #batches(requests: readonly GrantRequest[]): { group: number; places: number[] }[] {
    const batches: { group: number; places: number[] }[] = []
    const open = new Map<number, number[]>()
    requests.forEach(({ bucket }, place) => {
      const group = this.groupOf(bucket)
      let places = open.get(group)
      if (places === undefined || places.length === MAX_BUCKETS) {
        places = []
        open.set(group, places)
        batches.push({ group, places })
      }
      places.push(place)
    })
    return batches
  }

  #grantGroup(group: number, requests: readonly GrantRequest[]): Promise<readonly GrantReply[]> {
    const tag = `${this.#client.keyPrefix}limit:1:{${group}}:`
    const keys = [`${tag}epoch`]
    const values: (string | number)[] = []
    for (const { bucket, requestsPerSecond, capacity, want, atLeast, leaseMs } of requests) {
      keys.push(tag + bucket)
      values.push(requestsPerSecond, capacity, want, atLeast, leaseMs)
    }
    return this.#client.withNode(keys[0]!, node => this.#run(node, keys, values))
  }

  async #run(node: RedisNode, keys: readonly string[], values: readonly (string | number)[]): Promise<readonly GrantReply[]> {
    const { fence } = node
    if (fence === null) throw new RedisError('unavailable', `no connection to ${node.address}`)
    const reply = await GRANT.run(node, keys, [fence.runId.slice(0, RUN_DIGITS), this.#node, ...values], fence)
    return readReplies(reply, keys.length - 1, node)
  }
}

function readReplies(reply: unknown, count: number, node: RedisNode): GrantReply[] {
  if (!Array.isArray(reply) || reply.length !== count * FIELDS || !reply.every(Number.isSafeInteger)) {
    throw new RedisError('refused', `${node.address} answered a grant with something else`)
  }
  const numbers = reply as number[]
  return Array.from({ length: count }, (_none, index) => ({
    granted: numbers[index * FIELDS]!, remaining: numbers[index * FIELDS + 1]!, retryAfterMs: numbers[index * FIELDS + 2]!,
  }))
}
