import type { Failure } from '../base/failure.ts'
import type { BodySource, RequestHead } from '../http/message.ts'
import { Call, type CallListener } from '../upstream/call.ts'
import type { Endpoint } from '../upstream/endpoint.ts'
import type { ParsedHead } from '../upstream/response-head.ts'
import type { Upstream } from '../upstream/upstream.ts'
import { requestText } from './request-text.ts'
import { maySendAgain } from './retry.ts'

/** What goes to the upstream, the same at every try but for Host. */
export interface Shipment {
  readonly request: RequestHead
  readonly upstreamPath: string
  /** Whole lines of text, besides those of `request`. */
  readonly forwarding: string
  readonly body: BodySource | null
}

/** What comes of it. After `onFailure`, or after an event with `isLast`, no other event comes. */
export interface DeliveryEvents {
  /** False: no more for now; go on with `Delivery.resume()`. */
  onResponse(head: ParsedHead, chunk: Buffer, isLast: boolean): boolean
  onBody(chunk: Buffer, isLast: boolean): boolean
  onFailure(failure: Failure): void
}

/** The tries of one exchange at its upstream: one of them becomes the answer, or the last failure is passed on. */
export class Delivery implements CallListener {
  readonly #upstream: Upstream
  readonly #shipment: Shipment
  readonly #events: DeliveryEvents
  #call: Call | null = null
  tries = 0

  constructor(upstream: Upstream, shipment: Shipment, events: DeliveryEvents) {
    this.#upstream = upstream
    this.#shipment = shipment
    this.#events = events
  }

  /** Of the last try. */
  get endpoint(): Endpoint | null {
    return this.#call === null ? null : this.#call.endpoint
  }

  start(): void {
    this.#try(false)
  }

  /** The client takes more again. */
  resume(): void {
    this.#call?.resume()
  }

  /** Nobody wants the answer any more; no event comes after this. */
  cancel(): void {
    this.#call?.cancel()
  }

  onResponse(_call: Call, head: ParsedHead, chunk: Buffer, isLast: boolean): boolean {
    return this.#events.onResponse(head, chunk, isLast)
  }

  onBody(_call: Call, chunk: Buffer, isLast: boolean): boolean {
    return this.#events.onBody(chunk, isLast)
  }

  onFailure(call: Call, failure: Failure): void {
    if (maySendAgain(call, failure, this.tries)) this.#try(true)
    else this.#events.onFailure(failure)
  }

  #try(mustBeFresh: boolean): void {
    this.tries++
    const { request, upstreamPath, forwarding, body } = this.#shipment
    const upstream = this.#upstream
    const endpoint = upstream.pick()
    const host = upstream.preserveHost ? request.host : endpoint.hostHeader
    const call = new Call(request.method, requestText(request, upstreamPath, host, forwarding), body, this)
    call.mustBeFresh = mustBeFresh
    this.#call = call
    upstream.send(call, endpoint)
  }
}
