import type { Redis } from 'ioredis'
import type { RedisClient } from './redis-client.ts'
import { retryDelayMs } from './redis-options.ts'

/** A connection that is dead without saying so is found after this and the command limit. */
const HEARTBEAT_MS = 500

export type SubscriberOptions = {
  readonly onMessage: (text: string) => void
  /** The subscription stands, for the first time or again: what was published before this may have been missed. */
  readonly onSubscribed: () => void
}

/** Follows one channel on a connection of its own, which is renewed with backoff and looked after by a heartbeat. */
export class RedisSubscriber {
  readonly #client: RedisClient
  readonly #channel: string
  readonly #options: SubscriberOptions
  #connection: Redis | null = null
  #attempts = 0
  #timer: NodeJS.Timeout | null = null
  #isSubscribed = false
  #isClosed = false

  constructor(client: RedisClient, channel: string, options: SubscriberOptions) {
    this.#client = client
    this.#channel = channel
    this.#options = options
    void this.#open()
  }

  get isSubscribed(): boolean {
    return this.#isSubscribed
  }

  close(): void {
    this.#isClosed = true
    this.#end(this.#connection)
  }

  async #open(): Promise<void> {
    const connection = this.#client.createConnection()
    this.#connection = connection
    // Each of them ends this connection; the reason is told by the node that serves commands.
    connection.on('error', () => {})
    connection.on('close', () => this.#retry(connection))
    connection.on('end', () => this.#retry(connection))
    connection.on('message', (channel: string, text: string) => {
      if (channel === this.#channel && connection === this.#connection) this.#options.onMessage(text)
    })
    try {
      await connection.connect()
      await connection.subscribe(this.#channel)
    } catch {
      return this.#retry(connection)
    }
    if (connection !== this.#connection) return
    this.#attempts = 0
    this.#isSubscribed = true
    this.#options.onSubscribed()
    this.#beat(connection)
  }

  #beat(connection: Redis): void {
    this.#timer = setTimeout(() => {
      connection.ping().then(() => {
        if (connection === this.#connection) this.#beat(connection)
      }, () => this.#retry(connection))
    }, HEARTBEAT_MS)
    this.#timer.unref()
  }

  #retry(connection: Redis): void {
    if (connection !== this.#connection) return
    this.#end(connection)
    if (this.#isClosed) return
    this.#attempts += 1
    this.#timer = setTimeout(() => { void this.#open() }, retryDelayMs(this.#attempts, Math.random))
  }

  #end(connection: Redis | null): void {
    this.#connection = null
    this.#isSubscribed = false
    if (this.#timer !== null) clearTimeout(this.#timer)
    connection?.disconnect()
    // Where the peer hangs, its end would never come.
    connection?.stream?.destroy()
  }
}
