import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { fitsBlock, giveBlock, takeBlock } from '../base/blocks.ts'
import { Failure } from '../base/failure.ts'
import { TimerEntry } from '../base/timer-wheel.ts'
import type { BodySink } from '../http/message.ts'
import type { Call } from './call.ts'
import { failureOfConnect, failureOfReset } from './connect-failure.ts'
import type { Pool } from './pool.ts'
import type { ParsedHead } from './response-head.ts'
import { type ResponseEvents, ResponseParser } from './response-parser.ts'

/**
 * One for all connections of a thread: what is read is parsed, and written or copied, before the next read. Its size is
 * what a client that reads slowly can make an exchange hold; half of it costs a body of 100 KB a tenth more CPU.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(262_144)
const CHUNK_END = Buffer.from('\r\n')

/**
 * One connection to an endpoint: connects, writes requests, reads answers, and tells the pool when it is free or gone.
 * Calls are in the order of their requests; more than one only with pipelining.
 */
export class Connection extends TimerEntry implements ResponseEvents, BodySink {
  readonly #pool: Pool
  readonly #socket: Socket
  readonly #parser: ResponseParser
  readonly #calls: Call[] = []
  /** Requests that were given to it so far. */
  #served = 0
  #isOpen = false
  #isClosed = false
  #isPaused = false
  /** The last answer is complete, and the read that brought it is not yet done with. */
  #isFree = false
  /** From the peer's Keep-Alive, a second less: it may count from its last byte, and close while a request is on its way. */
  #hintMs = Infinity
  #idleUntilMs = 0
  /** Heads of this loop turn, with pipelining: one write for all. */
  #batch = ''
  /** What of a request body the socket still reads from. */
  readonly #blocks: Buffer[] = []
  /** Where the pool keeps it; the pool's alone to write. */
  isShared = false

  constructor(pool: Pool) {
    super()
    this.#pool = pool
    this.#parser = new ResponseParser(this, pool.settings.maxHeadBytes)
    const onread = { buffer: READ_BUFFER, callback: (length: number) => this.#onRead(length) }
    const { address } = pool.endpoint
    const options = { host: address.host, port: address.port, noDelay: true, highWaterMark: 65_536, onread }
    const socket = address.isTls ? connectTls({ ...options, ...pool.settings.tls(address.name ?? address.host) }) : connectTcp(options)
    socket.on(address.isTls ? 'secureConnect' : 'connect', () => this.#onConnect())
    if (address.isTls) socket.on('session', session => pool.settings.keepSession(address.name ?? address.host, session))
    socket.on('drain', () => this.#onDrain())
    socket.on('end', () => this.#onEnd())
    socket.on('error', cause => this.#onError(cause))
    socket.on('close', () => this.#close(failureOfReset('closed')))
    this.#socket = socket
    pool.wheel.scheduleIn(this, pool.settings.connectTimeoutMs)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get callCount(): number {
    return this.#calls.length
  }

  start(call: Call): void {
    call.connection = this
    call.isOnReused = this.#served > 0
    this.#served++
    this.#calls.push(call)
    if (this.#isOpen) this.#send(call)
    else call.phase = 'connecting'
  }

  /** Marks it as idle until its time is over; answers false when it can't be kept at all. */
  park(): boolean {
    const keptMs = Math.min(this.#pool.settings.keepAliveMs, this.#hintMs)
    if (keptMs <= 0) return false
    const { wheel } = this.#pool
    this.#idleUntilMs = wheel.coarseNowMs + wheel.tickMs + keptMs
    // A timer that is armed looks again when it fires: so most requests move none.
    if (!this.isArmed || this.deadlineMs > this.#idleUntilMs) wheel.schedule(this, this.#idleUntilMs)
    return true
  }

  resume(): void {
    if (!this.#isPaused || this.#isClosed) return
    this.#isPaused = false
    this.#socket.resume()
    const call = this.#calls[0]
    if (call?.phase === 'receiving') this.#pool.wheel.scheduleIn(call, this.#pool.settings.idleTimeoutMs)
  }

  /**
   * Ends the connection under a call that nobody waits for; those behind it get their failure. Behind others it keeps its
   * place (as `done`) until they have their answers: they must not pay for it.
   */
  cancel(call: Call): void {
    const index = this.#calls.indexOf(call)
    if (index < 0) return
    if (!call.isSent) call.body?.stop()
    this.#pool.finish(call)
    if (index > 0 && this.#isOpen) return
    this.#calls.splice(index, 1)
    // Its answer would come all the same, and would have to be read to its end.
    if (this.#isOpen || this.#calls.length === 0) this.#close(failureOfReset('cancelled'))
  }

  destroy(): void {
    this.#close(failureOfReset('the upstream was removed'))
  }

  // As a timer: the connect timeout, then the end of an idle time.
  override onTimeout(): void {
    if (!this.#isOpen) this.#close(new Failure('GW_UPSTREAM_CONNECT_TIMEOUT'))
    else if (this.#calls.length > 0) return
    else if (this.#pool.wheel.coarseNowMs < this.#idleUntilMs) this.#pool.wheel.schedule(this, this.#idleUntilMs)
    else this.#close(failureOfReset('idle'))
  }

  onCallTimeout(call: Call): void {
    const failure = new Failure(call.phase === 'awaitingHead' ? 'GW_UPSTREAM_HEAD_TIMEOUT' : 'GW_UPSTREAM_IDLE_TIMEOUT')
    // The one in front may be in the middle of its answer.
    if (call === this.#calls[0]) this.#close(failure)
    else this.#pool.fail(call, failure)
  }

  flush(): void {
    const batch = this.#batch
    this.#batch = ''
    if (!this.#isClosed && batch !== '') this.#socket.write(batch)
  }

  #onConnect(): void {
    if (this.#isClosed) return
    this.#isOpen = true
    this.#pool.wheel.cancel(this)
    // A copy: sending may end the connection.
    for (const call of [...this.#calls]) this.#send(call)
  }

  #send(call: Call): void {
    if (this.#isClosed) return
    if (call.body === null) {
      call.isSent = true
      if (this.#pool.settings.pipelining > 1) {
        if (this.#batch === '') this.#pool.flushLater(this)
        this.#batch += call.head
      } else this.#socket.write(call.head)
      this.#awaitHead(call)
      return
    }
    call.phase = 'sending'
    call.isBodyStarted = true
    // Head and what is there of the body go as one segment.
    this.#socket.cork()
    this.#socket.write(call.head)
    call.body.start(this)
    this.#socket.uncork()
  }

  #awaitHead(call: Call): void {
    if (call.phase === 'receiving' || call.phase === 'done') return
    call.phase = 'awaitingHead'
    this.#pool.wheel.scheduleIn(call, this.#pool.settings.headTimeoutMs)
  }

  // As the sink of a request body: a call with a body is alone on its connection.
  write(chunk: Uint8Array): boolean {
    const call = this.#calls[0]
    if (this.#isClosed || call === undefined) return true
    let wantsMore: boolean
    if (call.body!.contentLength === null) {
      this.#socket.cork()
      this.#socket.write(`${chunk.length.toString(16)}\r\n`)
      this.#socket.write(this.#copyOf(chunk))
      wantsMore = this.#socket.write(CHUNK_END)
      this.#socket.uncork()
    } else wantsMore = this.#socket.write(this.#copyOf(chunk))
    this.#giveBlocks()
    if (!wantsMore && call.phase === 'sending') this.#pool.wheel.scheduleIn(call, this.#pool.settings.idleTimeoutMs)
    return wantsMore
  }

  end(): void {
    const call = this.#calls[0]
    if (this.#isClosed || call === undefined) return
    if (call.body!.contentLength === null) this.#socket.write('0\r\n\r\n')
    call.isSent = true
    this.#awaitHead(call)
  }

  #copyOf(chunk: Uint8Array): Uint8Array {
    if (!fitsBlock(chunk.length)) return Buffer.from(chunk)
    const block = takeBlock()
    this.#blocks.push(block)
    block.set(chunk)
    return block.subarray(0, chunk.length)
  }

  /** The system mostly takes all at once; else the blocks wait for the socket. Those of a broken one are not used again. */
  #giveBlocks(): void {
    if (this.#blocks.length === 0 || this.#socket.writableLength > 0) return
    for (const block of this.#blocks.splice(0)) giveBlock(block)
  }

  #onDrain(): void {
    this.#giveBlocks()
    const call = this.#calls[0]
    if (!call?.body || call.isSent) return
    if (call.phase === 'sending') this.#pool.wheel.cancel(call)
    call.body.resume()
  }

  #onRead(length: number): boolean {
    if (this.#isClosed) return true
    const failure = this.#parser.execute(READ_BUFFER, length)
    if (failure) this.#close(failure)
    else if (this.#isFree) {
      // Only now: a call that waits for a connection must not get what stands behind an answer in the same read.
      this.#isFree = false
      this.#pool.release(this)
    }
    return true
  }

  #onEnd(): void {
    if (!this.#isOpen) return this.#close(new Failure('GW_UPSTREAM_TLS', 'closed in the handshake'))
    const failure = this.#parser.finish()
    // An answer that lasts until the close is complete now; every other call is cut off.
    this.#close(failure ?? failureOfReset('closed before an answer'))
  }

  #onError(cause: NodeJS.ErrnoException): void {
    this.#close(this.#isOpen ? failureOfReset(cause.code ?? cause.message) : failureOfConnect(cause))
  }

  awaitedMethod(): string | null {
    return this.#calls[0]?.method ?? null
  }

  onHead(head: ParsedHead, chunk: Buffer, isLast: boolean): void {
    const call = this.#calls[0]
    if (call === undefined) return
    call.hasResponse = true
    call.phase = 'receiving'
    this.#pool.onHead(call, head.status)
    this.#hintMs = head.keepAliveHintMs === null ? Infinity : Math.max(0, head.keepAliveHintMs - 1000)
    this.#took(call, call.listener.onResponse(call, head, chunk, isLast), isLast)
  }

  onBody(chunk: Buffer, isLast: boolean): void {
    const call = this.#calls[0]
    if (call !== undefined) this.#took(call, call.listener.onBody(call, chunk, isLast), isLast)
  }

  #took(call: Call, wantsMore: boolean, isLast: boolean): void {
    if (isLast || this.#isClosed) return
    if (wantsMore) this.#pool.wheel.scheduleIn(call, this.#pool.settings.idleTimeoutMs)
    else if (!this.#isPaused) {
      // The client is the slow one: its own limits hold, not those of the upstream.
      this.#isPaused = true
      this.#pool.wheel.cancel(call)
      this.#socket.pause()
    }
  }

  onComplete(isKeptAlive: boolean): void {
    const call = this.#calls.shift()
    if (call === undefined) return
    if (!call.isSent) call.body!.stop()
    this.#pool.finish(call)
    if (this.#isClosed) return
    // A client that was slow to the end leaves the socket paused.
    if (this.#isPaused) this.resume()
    if (!isKeptAlive || !call.isSent) this.#close(failureOfReset('closed after an answer'))
    else if (this.#calls[0]?.phase === 'done') this.#close(failureOfReset('cancelled'))
    else if (this.#calls.length === 0) this.#isFree = true
    else this.#pool.makeRoom(this)
  }

  /** Ends the connection. The call in front gets `failure`; those behind it a reset. */
  #close(failure: Failure): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#pool.wheel.cancel(this)
    this.#socket.destroy()
    this.#pool.forget(this)
    const calls = this.#calls.splice(0)
    const first = calls[0]
    // Part of a head is an answer as well: the peer did not close the connection while it was idle.
    if (calls[0] !== undefined && this.#parser.isInMessage) calls[0].hasResponse = true
    for (const call of calls) {
      if (call.phase === 'done') continue
      if (!call.isSent) call.body?.stop()
      // Nothing of an answer to the others has come: they stood behind one that ended the connection.
      if (call !== first && this.#isOpen) call.isOnReused = true
      this.#pool.fail(call, call === first || !this.#isOpen ? failure : failureOfReset('an answer before it ended the connection'))
    }
  }
}
