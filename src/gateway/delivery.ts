import { nowMs } from '../base/clock.ts'
import { Failure } from '../base/failure.ts'
import type { BodySource, RequestHead } from '../http/message.ts'
import type { BalanceRequest } from '../upstream/balancer.ts'
import { Call, type CallListener } from '../upstream/call.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { ParsedHead } from '../upstream/response-head.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { backoffMs, retryAfterMs } from './backoff.ts'
import type { Hedging } from './hedging.ts'
import { ReplayBody } from './replay-body.ts'
import { requestText } from './request-text.ts'
import { isRepeatable, isStale, type RetryPolicy } from './retry.ts'

/** Where a route sends to, and how it tries again. */
export type Target = { readonly upstream: Upstream; readonly retry: RetryPolicy; readonly hedging: Hedging | null }

/** What goes to the upstream, the same at every try but for Host and the time that is left. */
export interface Shipment extends BalanceRequest {
  readonly request: RequestHead
  readonly upstreamPath: string
  /** Whole lines of text, besides those of `request`. */
  readonly forwarding: string
  /** When the exchange is given up, on the monotonic clock. */
  readonly giveUpAtMs: number
}

/** What comes of it. After `onFailure`, or after an event with `isLast`, no other event comes. */
export interface DeliveryEvents {
  /** False: no more for now; go on with `Delivery.resume()`. */
  onResponse(head: ParsedHead, chunk: Buffer, isLast: boolean): boolean
  onBody(chunk: Buffer, isLast: boolean): boolean
  onFailure(failure: Failure): void
}

const NONE: readonly Endpoint[] = []
/** Of an answer that is not passed on: read to its end, so that its connection can be used again, if it is not longer. */
const MAX_DRAINED_BYTES = 65_536

/**
 * The tries of one exchange at its upstream: one of them becomes the answer, or the last failure is passed on. Nothing is
 * tried again once a byte of an answer has gone out.
 */
export class Delivery implements CallListener {
  readonly #target: Target
  readonly #shipment: Shipment
  readonly #events: DeliveryEvents
  readonly #body: BodySource | null
  readonly #mayRepeat: boolean
  /** The try that is to become the answer. */
  #call: Call | null = null
  /** A second one beside it. */
  #hedge: Call | null = null
  /** One whose answer is not passed on, as long as that is not over. */
  #drained: Call | null = null
  #tried: readonly Endpoint[] = NONE
  #timer: NodeJS.Timeout | null = null
  #isResent = false
  #isRetrying = false
  #hasAnswer = false
  #isEnded = false
  #drainedBytes = 0
  tries = 0

  /** `body`: null without one. */
  constructor(target: Target, shipment: Shipment, body: BodySource | null, events: DeliveryEvents) {
    this.#target = target
    this.#shipment = shipment
    this.#events = events
    this.#mayRepeat = target.retry.attempts > 1 && isRepeatable(shipment.request)
    // A mirror has it kept already.
    this.#body = body !== null && !(body instanceof ReplayBody) && this.#mayRepeat && (body.contentLength ?? 0) <= target.retry.maxBodyBytes
      ? new ReplayBody(body, target.retry.maxBodyBytes) : body
  }

  /** Of the last try. */
  get endpoint(): Endpoint | null {
    return this.#call === null ? null : this.#call.endpoint
  }

  get upstream(): Upstream {
    return this.#target.upstream
  }

  /** When the head of the answer came, on the monotonic clock; 0 before. */
  get headAtMs(): number {
    return this.#call === null ? 0 : this.#call.headAtMs
  }

  /** From the sending of the try that became the answer to its head, in milliseconds. */
  get latencyMs(): number {
    return this.#call === null ? 0 : this.#call.headAtMs - this.#call.startMs
  }

  /** The value of Set-Cookie that keeps the client on the endpoint that answered; null without need for one. */
  cookieFor(request: BalanceRequest): string | null {
    const { upstream } = this.#target
    return upstream.setsCookies && this.#call !== null ? upstream.cookieFor(request, this.#call.endpoint!) : null
  }

  start(now: number): void {
    const { upstream, hedging } = this.#target
    upstream.budget.onRequest(now)
    this.#try(now, false)
    if (hedging !== null && !this.#isEnded && this.#timer === null && this.#body === null) this.#planHedge(hedging, now)
  }

  /** The client takes more again. */
  resume(): void {
    this.#call?.resume()
  }

  /** Nobody wants the answer any more; no event comes after this. */
  cancel(): void {
    if (this.#isEnded) return
    this.#end()
    this.#call?.cancel()
    this.#hedge?.cancel()
  }

  onResponse(call: Call, head: ParsedHead, chunk: Buffer, isLast: boolean): boolean {
    if (call !== this.#call && call !== this.#hedge) return this.#drain(call, chunk, isLast)
    if (this.#target.retry.wantsAfterStatus(head.status)) {
      if (this.#hedge !== null) {
        this.#leaveToOther(call)
        return this.#drain(call, chunk, isLast)
      }
      const delayMs = this.#delayAfterStatus(call, head)
      if (delayMs !== null) {
        this.#call = null
        // It still takes from the body that the next try sends, and its connection could not be used again.
        if (!call.isSent) call.cancel()
        else this.#drain(call, chunk, isLast)
        this.#retryIn(delayMs)
        return true
      }
    }
    if (this.#hedge !== null) this.#win(call)
    this.#hasAnswer = true
    this.#stopTimer()
    this.#target.hedging?.observe(call.headAtMs - call.startMs, call.headAtMs)
    if (isLast) this.#end()
    return this.#events.onResponse(head, chunk, isLast)
  }

  onBody(call: Call, chunk: Buffer, isLast: boolean): boolean {
    if (call !== this.#call) return this.#drain(call, chunk, isLast)
    if (isLast) this.#end()
    return this.#events.onBody(chunk, isLast)
  }

  onFailure(call: Call, failure: Failure): void {
    if (this.#isEnded || (call !== this.#call && call !== this.#hedge)) return
    if (this.#hedge !== null) return this.#leaveToOther(call)
    if (!this.#hasAnswer) {
      if (isStale(call, failure) && !this.#isResent && this.#canSendAgain(call) && isRepeatable(this.#shipment.request)) {
        this.#isResent = true
        return this.#try(nowMs(), true)
      }
      const delayMs = this.#delayAfterFailure(call, failure)
      if (delayMs !== null) return this.#retryIn(delayMs)
    }
    this.#end()
    this.#events.onFailure(failure)
  }

  #try(now: number, mustBeFresh: boolean): void {
    const endpoint = this.#target.upstream.pick(this.#shipment, this.#tried)
    if (endpoint === null) {
      this.#end()
      this.#events.onFailure(new Failure('GW_UPSTREAM_NO_ENDPOINT'))
      return
    }
    const call = this.#call = this.#callTo(endpoint, now)
    call.mustBeFresh = mustBeFresh
    this.#target.upstream.send(call, endpoint, now)
  }

  #callTo(endpoint: Endpoint, now: number): Call {
    this.tries++
    const { request, upstreamPath, forwarding, giveUpAtMs } = this.#shipment
    const host = this.#target.upstream.preserveHost ? request.host : endpoint.hostHeader
    const text = requestText(request, upstreamPath, host, forwarding + timeoutLine(Math.max(1, Math.floor(giveUpAtMs - now))))
    return new Call(request.method, text, this.#body, this)
  }

  #canSendAgain(call: Call): boolean {
    return call.body === null || !call.isBodyStarted || (call.body instanceof ReplayBody && call.body.isReplayable)
  }

  /** How long to wait for another try; null: none. */
  #delayAfterFailure(call: Call, failure: Failure): number | null {
    const { retry } = this.#target
    const mayRepeat = this.#mayRepeat && this.#canSendAgain(call)
    if (!retry.wantsAfterFailure(failure, mayRepeat) || !this.#hasAttempts()) return null
    // What was never sent is no load to an upstream that fails: it takes nothing out of the budget.
    if (failure.retry !== 'always') return this.#takeFromBudget(call) ? this.#backoff() : null
    this.#setAside(call)
    // An endpoint that was never asked need not wait for the one that refuses connections.
    return this.#tried.length < this.#target.upstream.endpoints.length ? 0 : this.#backoff()
  }

  #delayAfterStatus(call: Call, head: ParsedHead): number | null {
    if (!this.#mayRepeat || !this.#canSendAgain(call) || !this.#hasAttempts()) return null
    const askedMs = retryAfterMs(head.toHeaders().get('retry-after'), Date.now())
    if (askedMs !== null && askedMs > this.#target.retry.maxBackoffMs) return null
    if (!this.#takeFromBudget(call)) return null
    return Math.max(askedMs ?? 0, this.#backoff())
  }

  #hasAttempts(): boolean {
    return this.tries - Number(this.#isResent) < this.#target.retry.attempts
  }

  #takeFromBudget(call: Call): boolean {
    const { budget } = this.#target.upstream
    if (this.#isRetrying) budget.onRetryEnd()
    this.#isRetrying = budget.tryRetry(nowMs())
    if (this.#isRetrying) this.#setAside(call)
    return this.#isRetrying
  }

  /** The next try goes elsewhere. */
  #setAside(call: Call): void {
    if (call.endpoint !== null) this.#tried = [...this.#tried, call.endpoint]
  }

  #backoff(): number {
    const { retry } = this.#target
    return backoffMs(this.tries, retry.backoffMs, retry.maxBackoffMs, Math.random)
  }

  #retryIn(delayMs: number): void {
    const now = nowMs()
    // A hedge that was planned would otherwise go out beside the next try, and one of them after the end.
    this.#stopTimer()
    if (delayMs === 0) return this.#try(now, false)
    if (now + delayMs >= this.#shipment.giveUpAtMs) delayMs = Math.max(0, this.#shipment.giveUpAtMs - now)
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#try(nowMs(), false)
    }, delayMs)
  }

  #planHedge(hedging: Hedging, now: number): void {
    const delayMs = hedging.plan(this.#shipment.request.method, now)
    if (delayMs === null) return
    this.#timer = setTimeout(() => {
      this.#timer = null
      if (this.#call !== null && hedging.take()) this.#startHedge(this.#call)
    }, delayMs)
  }

  #startHedge(first: Call): void {
    const now = nowMs()
    const endpoint = this.#target.upstream.pick(this.#shipment, first.endpoint === null ? NONE : [first.endpoint])
    if (endpoint === null || endpoint === first.endpoint) return
    const call = this.#hedge = this.#callTo(endpoint, now)
    this.#target.upstream.send(call, endpoint, now)
  }

  /** One of two has failed: the other decides. */
  #leaveToOther(call: Call): void {
    if (call === this.#call) this.#call = this.#hedge
    this.#hedge = null
  }

  /** One of two has an answer. */
  #win(call: Call): void {
    const loser = call === this.#call ? this.#hedge : this.#call
    this.#call = call
    this.#hedge = null
    loser?.cancel()
  }

  /** Reads what nobody wants. */
  #drain(call: Call, chunk: Buffer, isLast: boolean): boolean {
    this.#drained = isLast || this.#isEnded ? null : call
    this.#drainedBytes += chunk.length
    if (this.#drainedBytes > MAX_DRAINED_BYTES) call.cancel()
    return true
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#stopTimer()
    // An answer that nobody wants must not last longer than the exchange.
    this.#drained?.cancel()
    const { budget } = this.#target.upstream
    if (this.#isRetrying) budget.onRetryEnd()
    budget.onRequestEnd()
  }
}

let lastTimeoutMs = 0
let lastTimeoutLine = ''

/** First tries of a route have all the same; made once, and joined, since V8 would put a sum together at every write. */
function timeoutLine(leftMs: number): string {
  if (leftMs === lastTimeoutMs) return lastTimeoutLine
  lastTimeoutMs = leftMs
  return lastTimeoutLine = ['x-request-timeout-ms: ', String(leftMs), '\r\n'].join('')
}
