import type { Failure } from '../base/failure.ts'
import { TimerEntry } from '../base/timer-wheel.ts'
import type { BodySource } from '../http/message.ts'
import type { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import type { ParsedHead } from './response-head.ts'

/** Who asked. After `onFailure`, or after an event with `isLast`, no other event comes. */
export interface CallListener {
  /** The head, with what of the body came with it. False: no more for now; go on with `Call.resume()`. */
  onResponse(call: Call, head: ParsedHead, chunk: Buffer, isLast: boolean): boolean
  onBody(call: Call, chunk: Buffer, isLast: boolean): boolean
  onFailure(call: Call, failure: Failure): void
}

export type CallPhase = 'new' | 'pending' | 'connecting' | 'sending' | 'awaitingHead' | 'receiving' | 'done'

/**
 * One try to have one request answered by one endpoint. An exchange may make several (once more after a connection
 * that was closed while idle; retries and hedges likewise).
 */
export class Call extends TimerEntry {
  readonly method: string
  /** The whole request head with its empty line. */
  readonly head: string
  /** null without a body. */
  readonly body: BodySource | null
  readonly listener: CallListener
  phase: CallPhase = 'new'
  endpoint: Endpoint | null = null
  connection: Connection | null = null
  /** Whether the connection had served another request before. */
  isOnReused = false
  /** Not on a connection that was used before: that one may be stale too. */
  mustBeFresh = false
  /** Bytes of the body may have been taken from its source. */
  isBodyStarted = false
  /** All of the request was given to the socket. */
  isSent = false
  /** When it was given to its endpoint, and when the response head came; on the monotonic clock. */
  startMs = 0
  headAtMs = 0
  /** Its outcome has been counted for its endpoint. */
  isRecorded = false
  /** Of the circuit breaker; 0: none. */
  breakerTicket = 0
  /** Whether a byte of an answer has come. */
  hasResponse = false

  constructor(method: string, head: string, body: BodySource | null, listener: CallListener) {
    super()
    this.method = method
    this.head = head
    this.body = body
    this.listener = listener
  }

  /** May share a connection with others under way: safe to send again when an earlier answer ends the connection. */
  get isPipelinable(): boolean {
    return this.body === null && (this.method === 'GET' || this.method === 'HEAD' || this.method === 'OPTIONS')
  }

  /** The listener takes more again. */
  resume(): void {
    this.connection?.resume()
  }

  /** Nobody wants the answer any more; no event comes after this. */
  cancel(): void {
    if (this.phase === 'done') return
    if (this.connection) this.connection.cancel(this)
    else this.endpoint?.pool.cancelPending(this)
  }

  override onTimeout(): void {
    if (this.connection) this.connection.onCallTimeout(this)
    else this.endpoint?.pool.onPendingTimeout(this)
  }
}
