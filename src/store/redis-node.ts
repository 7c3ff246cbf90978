import type { Redis } from 'ioredis'
import { RedisError, reasonOf, replyWord } from './redis-error.ts'
import type { RedisEvent } from './redis-event.ts'
import { retryDelayMs } from './redis-options.ts'

export type RedisArgument = string | number | Buffer

/**
 * The server process at the other end of one connection. A new one for every connection: what was meant for an old one is
 * never sent on a new one.
 */
export type Fence = {
  /** 40 hexadecimal digits, new with every start of a server. A replica that is promoted has one of its own. */
  readonly runId: string
}

type Connected = Fence & { readonly socket: Redis['stream'] }

/** Error replies of a server that can't do what we need of it now; another connection may lead to one that can. */
const WRONG_SERVER = new Set(['READONLY', 'LOADING', 'MASTERDOWN'])

/**
 * One server of Redis and the connection to it, which is renewed with backoff. A command that gets no answer within its limit
 * gives the connection up, so a server that hangs costs each caller at most that limit, once; from then on all fail at once.
 * The probe that ends this is the next connection: it counts when the server has answered INFO on it.
 */
export class RedisNode {
  readonly address: string
  readonly #redis: Redis
  readonly #commandTimeoutMs: number
  readonly #onEvent: (event: RedisEvent) => void
  #connected: Connected | null = null
  #state: 'new' | 'connected' | 'lost' = 'new'
  #lastReason = 'connection closed'
  #warnedPolicy: string | null = null
  #isClosed = false
  /** Since the last connection that stood. */
  #endings = 0
  readonly #waiting = new Set<() => void>()

  /** `redis`: not connected yet. `address`: for the log. */
  constructor(redis: Redis, address: string, commandTimeoutMs: number, onEvent: (event: RedisEvent) => void) {
    this.#redis = redis
    this.address = address
    this.#commandTimeoutMs = commandTimeoutMs
    this.#onEvent = onEvent
    // `ready` and `close` come one tick after the state they tell of; the socket says which connection is meant.
    const { commandTimeout } = redis.options
    redis.on('ready', () => {
      // ioredis has no other limit for the handshake, but here it would not wait for an answer that is there and not read yet.
      redis.options.commandTimeout = undefined
      void this.#greet()
    })
    redis.on('close', () => {
      redis.options.commandTimeout = commandTimeout
      this.#onClose()
    })
    redis.on('error', (cause: unknown) => { this.#lastReason = reasonOf(cause) })
    // A connection that was given up while it was being made ends for good in ioredis; for us only close() does.
    redis.on('end', () => { this.#connectLater() })
    redis.connect().catch(() => {})
  }

  /** The server that commands would go to now; null: there is no connection. */
  get fence(): Fence | null {
    const connected = this.#connected
    return connected !== null && this.#redis.status === 'ready' && this.#redis.stream === connected.socket && connected.socket.writable ? connected : null
  }

  /**
   * Sends a command; rejects with RedisError. `fence`: the connection that is meant, where it matters; the command is on the wire,
   * or refused, before this returns.
   */
  send(command: string, args: readonly RedisArgument[], fence: Fence | null = this.fence): Promise<unknown> {
    return this.#send(fence, () => this.#redis.call(command, args as RedisArgument[]))
  }

  /** As `send`, with texts in the reply as bytes. */
  sendForBytes(command: string, args: readonly RedisArgument[]): Promise<unknown> {
    return this.#send(this.fence, () => this.#redis.callBuffer(command, args as RedisArgument[]))
  }

  /** Resolves at the next connection, or at once where there is one; also when the node is closed. */
  async whenReady(): Promise<void> {
    if (this.fence !== null || this.#isClosed) return
    await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  /** Gives this connection up; what is under way on it fails now. The next one is made after a short wait. */
  drop(reason: string): void {
    this.#lastReason = reason
    this.#connected = null
    // Not disconnect(): it ends the stream and waits for the peer, which may hang.
    this.#redis.stream?.destroy()
  }

  close(): void {
    this.#isClosed = true
    this.#connected = null
    this.#redis.disconnect()
    this.#redis.stream?.destroy()
    this.#wake()
  }

  #send(fence: Fence | null, write: () => Promise<unknown>): Promise<unknown> {
    if (fence === null) return Promise.reject(new RedisError('unavailable', `no connection to ${this.address}`))
    if (fence !== this.fence) return Promise.reject(new RedisError('moved', `the connection to ${this.address} is a new one`))
    return this.#limit(write())
  }

  #limit(reply: Promise<unknown>): Promise<unknown> {
    const socket = this.#redis.stream
    return new Promise((resolve, reject) => {
      let isSettled = false
      const timer = setTimeout(() => {
        // Once through the loop first: where it was late, the answer may be there and not read yet.
        setImmediate(() => {
          if (isSettled) return
          isSettled = true
          reject(new RedisError('timeout', `no answer from ${this.address} within ${this.#commandTimeoutMs} ms`))
          if (this.#redis.stream === socket) this.drop('no answer in time')
        })
      }, this.#commandTimeoutMs)
      reply.then(value => {
        clearTimeout(timer)
        isSettled = true
        resolve(value)
      }, (cause: unknown) => {
        clearTimeout(timer)
        if (isSettled) return
        isSettled = true
        reject(this.#errorOf(cause, socket))
      })
    })
  }

  #errorOf(cause: unknown, socket: Redis['stream']): RedisError {
    const { name, message } = cause as Error
    const word = name === 'ReplyError' ? replyWord(message) ?? 'ERR' : null
    if (word === null) return new RedisError('lost', `the connection to ${this.address} was lost`)
    if (WRONG_SERVER.has(word) && this.#redis.stream === socket) this.drop(word)
    if (word === 'MOVED' || word === 'ASK' || word === 'CLUSTERDOWN' || word === 'TRYAGAIN') return new RedisError('moved', `${this.address} has not the key: ${word}`, word)
    return new RedisError('refused', `${this.address} refused: ${word}`, word)
  }

  /** Learns who is at the other end of a new connection. */
  async #greet(): Promise<void> {
    const socket = this.#redis.stream
    let info: Map<string, string>
    try {
      info = parseInfo(String(await this.#limit(this.#redis.call('INFO') as Promise<unknown>)))
    } catch (cause) {
      // A timeout has dropped it already; without INFO there is no fence, so nothing may be sent.
      if (this.#redis.stream === socket) this.drop(reasonOf(cause))
      return
    }
    if (this.#redis.stream !== socket || this.#isClosed) return
    const runId = info.get('run_id')
    if (runId === undefined) return this.drop('INFO has no run_id')
    if (info.get('loading') === '1') return this.drop('LOADING')
    if (info.get('role') !== 'master') return this.drop('is a replica')
    this.#connected = { runId, socket }
    this.#onEvent({ event: this.#state === 'lost' ? 'redisRecovered' : 'redisConnected', address: this.address })
    this.#state = 'connected'
    this.#endings = 0
    this.#checkPolicy(info.get('maxmemory_policy'))
    this.#wake()
  }

  #checkPolicy(policy: string | undefined): void {
    if (policy === undefined || policy === 'noeviction' || policy === this.#warnedPolicy) return
    this.#warnedPolicy = policy
    this.#onEvent({
      event: 'redisWarning', address: this.address,
      problem: `maxmemory-policy is ${policy}: an evicted bucket is a full one, so limits would not hold; set it to noeviction`,
    })
  }

  #onClose(): void {
    if (this.#state === 'lost' || this.#isClosed) return
    this.#state = 'lost'
    this.#onEvent({ event: 'redisLost', address: this.address, reason: this.#lastReason })
    this.#lastReason = 'connection closed'
  }

  #connectLater(): void {
    if (this.#isClosed) return
    this.#endings += 1
    setTimeout(() => {
      if (!this.#isClosed && this.#redis.status === 'end') this.#redis.connect().catch(() => {})
    }, retryDelayMs(this.#endings, Math.random))
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

function parseInfo(text: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) values.set(line.slice(0, colon), line.slice(colon + 1))
  }
  return values
}
