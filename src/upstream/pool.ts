import { Failure } from '../base/failure.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { Call } from './call.ts'
import { failureOfReset } from './connect-failure.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { UpstreamSettings } from './upstream-settings.ts'

/** What a pool needs of its upstream. */
export interface PoolOwner {
  readonly settings: UpstreamSettings
  readonly wheel: TimerWheel
  /** Calls that wait for a connection, over all endpoints. */
  pendingCount: number
  /** The head of a final answer has come. */
  onHead(call: Call, status: number): void
  /** A call has ended, with an answer or cancelled (null) or failed; the counters go back. Called once a call. */
  onCallEnd(call: Call, failure: Failure | null): void
}

/** Connections whose batch of heads goes out at the end of this loop turn. */
let unflushed: Connection[] = []

function flushAll(): void {
  const connections = unflushed
  unflushed = []
  for (const connection of connections) connection.flush()
}

/**
 * Connections of one worker to one endpoint: idle ones last in first out, new ones up to `maxConnections`, and behind
 * them a queue that is bounded in number (of the whole upstream) and time.
 */
export class Pool {
  readonly endpoint: Endpoint
  readonly #owner: PoolOwner
  readonly #connections = new Set<Connection>()
  // Last in, first out: the youngest idle connection is least likely to be closed by the peer.
  readonly #idle: Connection[] = []
  /** With pipelining: connections with room for one more request. */
  readonly #shared: Connection[] = []
  /** In order; calls that were cancelled stay until their turn. */
  #pending: Call[] = []
  #pendingStart = 0
  #isDestroyed = false
  #isAborted = false

  constructor(endpoint: Endpoint, owner: PoolOwner) {
    this.endpoint = endpoint
    this.#owner = owner
  }

  get settings(): UpstreamSettings {
    return this.#owner.settings
  }

  get wheel(): TimerWheel {
    return this.#owner.wheel
  }

  get connectionCount(): number {
    return this.#connections.size
  }

  dispatch(call: Call): void {
    if (call.mustBeFresh) {
      // Makes room for it, where only idle connections stand in its way.
      if (this.#connections.size >= this.settings.maxConnections) this.#idle.pop()?.destroy()
      if (this.#connections.size < this.settings.maxConnections) this.#open(call)
      else this.#enqueue(call)
      return
    }
    if (this.settings.pipelining > 1 && call.isPipelinable && this.#share(call)) return
    const idle = this.#idle.pop()
    if (idle !== undefined) this.#begin(idle, call)
    else if (this.#connections.size < this.settings.maxConnections) this.#open(call)
    else this.#enqueue(call)
  }

  /** A connection has no call left. */
  release(connection: Connection): void {
    this.#unshare(connection)
    const next = this.#nextPending()
    if (next !== null) this.#begin(connection, next)
    else if (this.#isDestroyed || !connection.park()) connection.destroy()
    else this.#idle.push(connection)
  }

  /** One of several pipelined calls is done: there may be room for one more. */
  makeRoom(connection: Connection): void {
    if (!connection.isShared && connection.callCount < this.settings.pipelining) this.#addShared(connection)
  }

  /** A connection is closed. */
  forget(connection: Connection): void {
    this.#connections.delete(connection)
    this.#unshare(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
    if (this.#owner.pendingCount === 0 || this.#isAborted) return
    const next = this.#nextPending()
    if (next !== null) this.#open(next)
  }

  /** A call has had its last event. */
  finish(call: Call, failure: Failure | null = null): void {
    call.phase = 'done'
    this.wheel.cancel(call)
    this.#owner.onCallEnd(call, failure)
  }

  onHead(call: Call, status: number): void {
    this.#owner.onHead(call, status)
  }

  fail(call: Call, failure: Failure): void {
    this.finish(call, failure)
    call.listener.onFailure(call, failure)
  }

  flushLater(connection: Connection): void {
    // After all sockets of this turn were read: several requests of one turn, one write.
    if (unflushed.length === 0) setImmediate(flushAll)
    unflushed.push(connection)
  }

  cancelPending(call: Call): void {
    if (call.phase !== 'pending') return
    this.#owner.pendingCount--
    this.finish(call)
  }

  onPendingTimeout(call: Call): void {
    if (call.phase !== 'pending') return
    this.#owner.pendingCount--
    this.fail(call, new Failure('GW_UPSTREAM_PENDING_TIMEOUT'))
  }

  /** Idle connections close now, busy ones after their answer. */
  destroy(): void {
    this.#isDestroyed = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }

  /** All connections close now, and their calls fail. */
  abort(): void {
    this.#isAborted = true
    this.destroy()
    for (const connection of [...this.#connections]) connection.destroy()
    for (let call = this.#nextPending(); call !== null; call = this.#nextPending()) this.fail(call, failureOfReset('the upstream was removed'))
  }

  #open(call: Call): void {
    const connection = new Connection(this)
    this.#connections.add(connection)
    this.#begin(connection, call)
  }

  #begin(connection: Connection, call: Call): void {
    connection.start(call)
    if (this.settings.pipelining > 1 && call.isPipelinable) this.makeRoom(connection)
  }

  #share(call: Call): boolean {
    const connection = this.#shared.at(-1)
    if (connection === undefined) return false
    connection.start(call)
    if (connection.callCount >= this.settings.pipelining) this.#unshare(connection)
    return true
  }

  #addShared(connection: Connection): void {
    connection.isShared = true
    this.#shared.push(connection)
  }

  #unshare(connection: Connection): void {
    if (!connection.isShared) return
    connection.isShared = false
    this.#shared.splice(this.#shared.lastIndexOf(connection), 1)
  }

  #enqueue(call: Call): void {
    if (this.#owner.pendingCount >= this.settings.maxPending) {
      this.fail(call, new Failure('GW_UPSTREAM_PENDING_FULL'))
      return
    }
    this.#owner.pendingCount++
    call.phase = 'pending'
    this.#pending.push(call)
    this.wheel.scheduleIn(call, this.settings.pendingTimeoutMs)
  }

  #nextPending(): Call | null {
    while (this.#pendingStart < this.#pending.length) {
      const call = this.#pending[this.#pendingStart++]!
      // Freed now and then rather than by a shift per call, which costs the length of the queue.
      if (this.#pendingStart === this.#pending.length || this.#pendingStart > 1024) {
        this.#pending = this.#pending.slice(this.#pendingStart)
        this.#pendingStart = 0
      }
      if (call.phase !== 'pending') continue
      this.#owner.pendingCount--
      this.wheel.cancel(call)
      return call
    }
    return null
  }
}
