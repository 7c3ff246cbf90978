import { Redis } from 'ioredis'
import type { RedisConfig } from '../config/schema-redis.ts'
import { ClusterNodes } from './cluster-nodes.ts'
import { RedisError } from './redis-error.ts'
import type { RedisEvent } from './redis-event.ts'
import { type RedisArgument, RedisNode } from './redis-node.ts'
import { RedisSettings } from './redis-options.ts'

/** Which server has a key. */
interface Servers {
  nodeFor(key: string): RedisNode | null
  nodes(): readonly RedisNode[]
  /** Learns anew who has what, after a server said that it has not. */
  refresh(): Promise<void>
  /** A connection of its own that is not renewed, for a subscription. Not connected yet. */
  createConnection(): Redis
  close(): void
}

export type RedisClientOptions = {
  readonly onEvent: (event: RedisEvent) => void
  /** Content of PEM files by the names in `config.tls`. */
  readonly files?: Readonly<Record<string, string>>
}

/**
 * The way to Redis, be it one server, a master that Sentinels watch over, or a cluster. Connects by itself and again; nothing
 * here waits for a connection, and what has no answer within `commandTimeoutMs` fails (redis-node.ts has the breaker).
 */
export class RedisClient {
  readonly keyPrefix: string
  readonly commandTimeoutMs: number
  /** True: the keys of one script call must share a hash tag. */
  readonly isCluster: boolean
  readonly #servers: Servers

  constructor(config: RedisConfig, { onEvent, files = {} }: RedisClientOptions) {
    const settings = new RedisSettings(config, files)
    this.keyPrefix = settings.keyPrefix
    this.commandTimeoutMs = settings.commandTimeoutMs
    this.isCluster = settings.place.kind === 'cluster'
    this.#servers = this.isCluster ? new ClusterNodes(settings, onEvent) : new OneServer(settings, onEvent)
  }

  /** The server that has a key, connected or not; null: not known yet. */
  nodeFor(key: string): RedisNode | null {
    return this.#servers.nodeFor(key)
  }

  nodes(): readonly RedisNode[] {
    return this.#servers.nodes()
  }

  /** All servers that are known can be sent to. */
  get isReady(): boolean {
    const nodes = this.nodes()
    return nodes.length > 0 && nodes.every(node => node.fence !== null)
  }

  /** Runs `task` on the server that has a key; once more where it turns out that another has it. */
  async withNode<T>(key: string, task: (node: RedisNode) => Promise<T>): Promise<T> {
    try {
      return await task(this.#nodeOrThrow(key))
    } catch (cause) {
      if (!(cause instanceof RedisError) || cause.code !== 'moved' || !this.isCluster) throw cause
      await this.refresh()
      return task(this.#nodeOrThrow(key))
    }
  }

  /** A command on one key; rejects with RedisError. */
  command(key: string, command: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.withNode(key, node => node.send(command, args))
  }

  /** As `command`, with texts in the reply as bytes. */
  commandForBytes(key: string, command: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.withNode(key, node => node.sendForBytes(command, args))
  }

  refresh(): Promise<void> {
    return this.#servers.refresh()
  }

  createConnection(): Redis {
    return this.#servers.createConnection()
  }

  close(): void {
    this.#servers.close()
  }

  #nodeOrThrow(key: string): RedisNode {
    const node = this.nodeFor(key)
    if (node === null) throw new RedisError('unavailable', 'no node of the cluster has answered yet')
    return node
  }
}

class OneServer implements Servers {
  readonly #settings: RedisSettings
  readonly #node: RedisNode

  constructor(settings: RedisSettings, onEvent: (event: RedisEvent) => void) {
    const { place } = settings
    const address = place.kind === 'single' ? `${place.address.host}:${place.address.port}` : place.kind === 'sentinel' ? `master ${place.name}` : ''
    this.#settings = settings
    this.#node = new RedisNode(new Redis(settings.durable()), address, settings.commandTimeoutMs, onEvent)
  }

  nodeFor(): RedisNode {
    return this.#node
  }

  nodes(): readonly RedisNode[] {
    return [this.#node]
  }

  async refresh(): Promise<void> {}

  createConnection(): Redis {
    return new Redis({ ...this.#settings.durable(), retryStrategy: null, enableReadyCheck: false })
  }

  close(): void {
    this.#node.close()
  }
}
