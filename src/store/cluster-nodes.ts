import { Redis } from 'ioredis'
import type { Address } from '../config/address.ts'
import { keySlot, SLOT_COUNT } from './key-slot.ts'
import type { RedisEvent } from './redis-event.ts'
import { RedisNode } from './redis-node.ts'
import type { RedisSettings } from './redis-options.ts'

const REFRESH_MS = 5000
/** Between two questions, however many commands find that a server is gone. */
const SHORTEST_REFRESH_MS = 100
const MAX_NODES = 1000

type Member = { readonly address: Address; readonly node: RedisNode }

/**
 * The masters of a Redis Cluster and who has which slot, learned by CLUSTER SLOTS: every few seconds, when a server says that
 * a key has moved, and when one is gone.
 *
 * Not the Cluster of ioredis: it sends a command that was refused with MOVED to another server by itself, where the run_id in
 * it would be the wrong one, and a grant on state that was lost in a failover would pass as good.
 */
export class ClusterNodes {
  readonly #settings: RedisSettings
  readonly #onEvent: (event: RedisEvent) => void
  readonly #seeds: readonly Address[]
  readonly #members = new Map<string, Member>()
  #slots: readonly (RedisNode | undefined)[] = []
  #refreshing: Promise<void> | null = null
  #refreshedAtMs = -Infinity
  #turn = 0
  #timer: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(settings: RedisSettings, onEvent: (event: RedisEvent) => void) {
    this.#settings = settings
    this.#onEvent = onEvent
    this.#seeds = settings.place.kind === 'cluster' ? settings.place.nodes : []
    void this.refresh()
  }

  nodeFor(key: string): RedisNode | null {
    const node = this.#slots[keySlot(key)] ?? null
    if (node === null || node.fence === null) this.#refreshSoon()
    return node
  }

  nodes(): readonly RedisNode[] {
    return [...this.#members.values()].map(({ node }) => node)
  }

  /** One at a time; never rejects: where nobody answers, what is known stays. */
  refresh(): Promise<void> {
    return this.#refreshing ??= this.#ask().finally(() => {
      this.#refreshedAtMs = performance.now()
      this.#refreshing = null
      this.#schedule()
    })
  }

  createConnection(): Redis {
    const known = [...this.#members.values()].filter(({ node }) => node.fence !== null).map(({ address }) => address)
    const addresses = known.length > 0 ? known : this.#seeds
    // In turn: one that hangs is not asked again and again.
    const address = addresses[this.#turn % addresses.length]!
    this.#turn += 1
    return this.#connectionTo(address)
  }

  close(): void {
    this.#isClosed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const { node } of this.#members.values()) node.close()
    this.#members.clear()
    this.#slots = []
  }

  #refreshSoon(): void {
    if (!this.#isClosed && performance.now() - this.#refreshedAtMs >= SHORTEST_REFRESH_MS) void this.refresh()
  }

  #schedule(): void {
    if (this.#isClosed) return
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => { void this.refresh() }, this.#members.size > 0 ? REFRESH_MS : SHORTEST_REFRESH_MS * 2)
    this.#timer.unref()
  }

  async #ask(): Promise<void> {
    for (const { address, node } of this.#members.values()) {
      if (node.fence === null) continue
      const reply = await node.send('CLUSTER', ['SLOTS']).catch(() => null)
      if (reply !== null && this.#take(reply, address)) return
    }
    for (const address of this.#seeds) {
      if (this.#isClosed) return
      const connection = this.#connectionTo(address)
      try {
        await connection.connect()
        if (this.#take(await connection.call('CLUSTER', ['SLOTS']), address)) return
      } catch {
        // The next one may know.
      } finally {
        connection.disconnect()
      }
    }
  }

  /** False: the answer is of no use. `asked`: who a node without an address of its own is. */
  #take(reply: unknown, asked: Address): boolean {
    const ranges = parseSlots(reply, asked)
    if (this.#isClosed || ranges.length === 0) return false
    const slots = new Array<RedisNode | undefined>(SLOT_COUNT)
    const named = new Set<string>()
    for (const { first, last, address } of ranges) {
      const name = `${address.host}:${address.port}`
      named.add(name)
      if (!this.#members.has(name)) this.#members.set(name, { address, node: this.#nodeAt(address, name) })
      slots.fill(this.#members.get(name)!.node, first, last + 1)
    }
    for (const [name, { node }] of this.#members) {
      if (named.has(name)) continue
      this.#members.delete(name)
      node.close()
    }
    this.#slots = slots
    return true
  }

  #nodeAt(address: Address, name: string): RedisNode {
    return new RedisNode(new Redis(this.#settings.node(address)), name, this.#settings.commandTimeoutMs, this.#onEvent)
  }

  #connectionTo(address: Address): Redis {
    const connection = new Redis({ ...this.#settings.node(address), retryStrategy: null })
    connection.on('error', () => {})
    return connection
  }
}

type SlotRange = { readonly first: number; readonly last: number; readonly address: Address }

/** Reads `[[first, last, [host, port, id, …], replicas…], …]`; what is not of this shape is left out. */
function parseSlots(reply: unknown, asked: Address): SlotRange[] {
  if (!Array.isArray(reply)) return []
  const ranges: SlotRange[] = []
  for (const entry of reply.slice(0, SLOT_COUNT) as unknown[]) {
    if (!Array.isArray(entry) || !Array.isArray(entry[2])) continue
    const [first, last, [host, port]] = entry as [unknown, unknown, unknown[]]
    if (!isSlot(first) || !isSlot(last) || typeof port !== 'number') continue
    // No host (null or empty): the one that was asked. `?`: not known yet.
    if (host !== null && typeof host !== 'string' || host === '?') continue
    ranges.push({ first, last, address: { host: host === null || host === '' ? asked.host : host, port } })
  }
  return new Set(ranges.map(({ address }) => `${address.host}:${address.port}`)).size > MAX_NODES ? [] : ranges
}

function isSlot(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < SLOT_COUNT
}
