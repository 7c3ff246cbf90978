import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { nowMs } from '../base/clock.ts'
import { Failure } from '../base/failure.ts'
import type { RemoteAddresses } from '../downstream/remote-addresses.ts'
import { RequestBody } from '../downstream/request-body.ts'
import { readRequestHead } from '../downstream/request-head.ts'
import { ResponseWriter } from '../downstream/response-writer.ts'
import { Headers } from '../http/headers.ts'
import type { RequestHead, ResponseHead } from '../http/message.ts'
import type { Verdict } from '../policies/policy.ts'
import { RouteMatch } from '../routing/router.ts'
import type { ParsedHead } from '../upstream/response-head.ts'
import { accessRecord, loggedHeaders } from './access-record.ts'
import { Answer, type AnswerEvents, LINGER_MS } from './answer.ts'
import { Delivery, type DeliveryEvents, type Shipment, type Target } from './delivery.ts'
import { ExchangeFacts } from './exchange-facts.ts'
import type { ExchangeHost } from './exchange-host.ts'
import { addForwarding, forwardingText, trustedRequestId } from './forwarding.ts'
import { Mirroring } from './mirroring.ts'
import { closesConnection, problemOf } from './respond.ts'
import type { CompiledRoute, Destination } from './runtime.ts'
import { isShed } from './shedding.ts'

/** The match of the request at hand: one at a time in a thread. */
const MATCH = new RouteMatch<CompiledRoute>()
const UNREAD: RequestHead = {
  method: '', path: '', query: '', host: '', headers: new Headers(), contentLength: null, isChunked: false,
  hasForwarding: false,
}
/**
 * One request with its response. Its life, step by step; the same numbers stand in the body:
 *
 * 1 bound    head and body limits                          400 413 414 417 501
 * 2 match    routing/router                                404 405
 * 3 ask      policies in order; any may answer
 * 4 send     gateway/delivery -> upstream -> balancer -> pool -> connection
 * 5 receive  the response head                             502 503 504
 * 6 amend    policies in reverse
 * 7 write    downstream/response-writer, drained by back-pressure
 * 8 finish   exactly once: access log, counters, release of the runtime
 */
export class Exchange extends ExchangeFacts implements DeliveryEvents, Shipment, AnswerEvents {
  readonly #gateway: ExchangeHost
  readonly #response: HttpResponse
  readonly #answer: Answer
  body: RequestBody | null = null
  delivery: Delivery | null = null
  /** Lines of text for the upstream, made once for all tries. */
  forwarding = ''
  #mirroring: Mirroring | null = null
  #hasAbortHandler = false
  #isFinished = false

  constructor(gateway: ExchangeHost, response: HttpResponse, isTls: boolean) {
    super(gateway.runtime, isTls)
    this.#gateway = gateway
    this.#response = response
    this.#answer = new Answer(new ResponseWriter(response, () => this.#onDrain()), this)
  }

  get bytesOut(): number {
    return this.#answer.byteCount
  }

  handle(request: HttpRequest, remotes: RemoteAddresses): void {
    const gateway = this.#gateway
    this.runtime.acquire()
    gateway.onExchangeStart()
    this.peer = this.runtime.peers.of(remotes.of(this.#response))

    // 1 bound
    const head = readRequestHead(request, this.runtime)
    if (head instanceof Failure) return this.#refuse(request, head)
    this.request = head
    this.requestId = trustedRequestId(head, this.peer) ?? gateway.nextRequestId()
    this.clientIp = this.runtime.peers.clientOf(this.peer, this.peer.isTrusted ? head.headers.get('x-forwarded-for') : undefined)
    this.loggedHeaders = loggedHeaders(head, this.runtime.log)

    // 2 match
    const outcome = this.runtime.router.match(head.method, head.host, head.path, head.query, head.headers, MATCH)
    if (outcome !== 'matched') {
      return this.onFailure(new Failure(outcome === 'noRoute' ? 'GW_NO_ROUTE' : 'GW_METHOD_NOT_ALLOWED'), MATCH.allow)
    }
    const route = this.route = MATCH.target!
    this.parameterNames = MATCH.parameterNames
    if (this.parameterNames.length > 0) this.parameterValues = MATCH.parameterValues.slice()
    this.upstreamPath = head.path
    if (isShed(route.rank, gateway.load.level)) return this.onFailure(new Failure('GW_OVERLOADED'))

    if (head.isChunked || (head.contentLength !== null && head.contentLength > 0)) {
      this.#watchAbort()
      this.body = new RequestBody(this.#response, head.contentLength, route.maxBodyBytes, this)
      // Told from its announced length before any of it has come.
      if (head.contentLength !== null && head.contentLength > route.maxBodyBytes) return this.onTooLarge()
    }
    // Where policies look, they see the lines as they travel on; else their text is kept ready.
    if (route.onRequest.length > 0 || head.hasForwarding) addForwarding(head, this.peer, this.isTls, this.requestId)
    else this.forwarding = `${forwardingText(this.peer, head.host, this.isTls)}${this.requestId}\r\n`
    this.#ask(0)
  }

  /** 3 ask: runs on until a policy answers, fails or has to wait. */
  #ask(from: number): void {
    const policies = this.route!.onRequest
    for (let i = from; i < policies.length; i++) {
      const verdict = policies[i]!.onRequest!(this)
      if (verdict === null) continue
      // A policy that can answers at once: a promise would cost every request a microtask.
      if (verdict instanceof Promise) {
        this.#watchAbort()
        this.#startTimer()
        verdict.then(late => this.#onVerdict(late, i + 1), cause => this.onFault(cause))
        return
      }
      return this.#onVerdict(verdict, i + 1)
    }
    this.#send()
  }

  #onVerdict(verdict: Verdict, next: number): void {
    if (this.#isFinished) return
    if (verdict === null) this.#ask(next)
    else if (verdict instanceof Failure) this.onFailure(verdict)
    else this.#amend({ status: verdict.status, lines: verdict.headers, contentLength: verdict.body.length }, Buffer.from(verdict.body))
  }

  /** A fault of the gateway's own, on the way of this exchange. */
  onFault(cause: unknown): void {
    this.#gateway.onFault(cause)
    this.delivery?.cancel()
    this.onFailure(new Failure('GW_INTERNAL'))
  }

  /** 4 send */
  #send(): void {
    const { destination, mirror } = this.route!
    if (destination.kind === 'mock') return this.#amend(destination.head, destination.body)
    this.#watchAbort()
    const now = this.isArmed ? nowMs() : this.startMs
    this.#startTimer()
    const target = destination.kind === 'upstream' ? destination.target : this.#partOf(destination)
    if (mirror !== null && mirror.chooses()) this.#mirroring = new Mirroring(mirror, this, this.body, target.retry.attempts > 1 ? target.retry.maxBodyBytes : 0)
    this.delivery = new Delivery(target, this, this.#mirroring === null ? this.body : this.#mirroring.body, this)
    this.delivery.start(now)
    this.#mirroring?.onSent()
  }

  #startTimer(): void {
    if (this.isArmed) return
    const { timeoutMs } = this.route!
    this.giveUpAtMs = this.startMs + timeoutMs
    this.#gateway.wheel.scheduleIn(this, timeoutMs)
  }

  #partOf({ split, by }: Extract<Destination, { kind: 'split' }>): Target {
    return split.pick(by === null ? undefined : this.keyValue(by), Math.random)
  }

  /** 5 receive */
  onResponse(head: ParsedHead, chunk: Buffer, isLast: boolean): boolean {
    const delivery = this.delivery!
    this.headMs = delivery.headAtMs - this.startMs
    const cookie = delivery.cookieFor(this)
    if (this.#mirroring !== null) {
      this.#mirroring.onHead(head.status, delivery.latencyMs)
      this.#mirroring.onBody(chunk)
    }
    // Only a route that asks for it has the lines made into text.
    const lines = this.route!.onResponse.length === 0 && cookie === null ? head : this.#amended(head.status, head.toHeaders())
    if (lines === null) return true
    if (cookie !== null) (lines as Headers).add('set-cookie', cookie)
    return this.#write({ status: head.status, lines, contentLength: head.contentLength }, chunk, isLast)
  }

  /** 6 amend: policies in reverse; null when one of them failed, and the exchange with it. */
  #amended(status: number, headers: Headers): Headers | null {
    try {
      for (const policy of this.route!.onResponse) policy.onResponse!(this, status, headers)
      return headers
    } catch (cause) {
      this.onFault(cause)
      return null
    }
  }

  /** 7 write, what follows the head */
  onBody(chunk: Buffer, isLast: boolean): boolean {
    if (this.#isFinished) return true
    this.#mirroring?.onBody(chunk)
    return this.#answer.write(chunk, isLast)
  }

  /** 6 amend, of an answer that no upstream gave. */
  #amend(head: ResponseHead, body: Buffer): void {
    const lines = this.route!.onResponse.length === 0 ? head.lines : this.#amended(head.status, Headers.of(head.lines))
    if (lines !== null) this.#write({ ...head, lines }, body, true)
  }

  /** 7 write */
  #write(head: ResponseHead, chunk: Buffer, isLast: boolean, closes = false): boolean {
    this.status = head.status
    return this.#answer.begin(this.withAdded(head), this.request.method === 'HEAD', chunk, isLast, closes || this.#gateway.isDraining, this.body)
  }

  #onDrain(): void {
    if (this.#answer.onDrain()) this.#finish()
    else this.delivery?.resume()
  }

  onAnswerDone(): void {
    this.#finish()
  }

  onAnswerLingers(): void {
    this.#gateway.wheel.scheduleIn(this, LINGER_MS)
  }

  /** A failure is an answer, or, after an answer has begun, the end of the connection. */
  onFailure(failure: Failure, allow: readonly string[] | null = null): void {
    if (this.#isFinished) return
    this.failure = failure
    if (this.#answer.hasBegun) {
      this.#answer.abort()
      this.#finish()
      return
    }
    const { head, body } = problemOf(failure, this.requestId, failure.code === 'GW_METHOD_NOT_ALLOWED' ? allow : null)
    this.#write(head, body, true, closesConnection(failure))
  }

  /**
   * A head that could not be read. Answered in the next loop turn: uWS goes on with what stands behind it in the same
   * read, which may be no request at all; while an answer is open it closes the connection instead.
   */
  #refuse(request: HttpRequest, failure: Failure): void {
    this.requestId = this.#gateway.nextRequestId()
    this.clientIp = this.peer!.address
    this.request = { ...UNREAD, method: request.getCaseSensitiveMethod(), path: request.getUrl().slice(0, 256) }
    this.#watchAbort()
    setImmediate(() => this.onFailure(failure))
  }

  // Events of the request body.
  onTooLarge(): void {
    // Announced and counted, it is told once; behind an answer the bound on what is discarded holds.
    if (this.#answer.isComplete) return
    this.delivery?.cancel()
    this.onFailure(new Failure('GW_BODY_TOO_LARGE'))
  }

  onComplete(): void {
    this.#answer.onBodyComplete()
  }

  onDiscarded(byteCount: number): void {
    if (this.#answer.onBodyDiscarded(byteCount)) this.#finish()
  }

  override onTimeout(): void {
    if (this.#answer.isLingering) {
      // The client goes on sending what nobody wants.
      this.#answer.abort()
      this.#finish()
      return
    }
    this.delivery?.cancel()
    this.onFailure(new Failure('GW_EXCHANGE_TIMEOUT'))
  }

  /** uWS ends the process when a handler returns without an answer and without this. */
  #watchAbort(): void {
    if (this.#hasAbortHandler) return
    this.#hasAbortHandler = true
    this.#response.onAborted(() => {
      this.#answer.abandon()
      if (this.#isFinished) return
      this.failure ??= new Failure('GW_CLIENT_GONE')
      this.delivery?.cancel()
      this.#finish()
    })
  }

  /** 8 finish */
  #finish(): void {
    if (this.#isFinished) return
    this.#isFinished = true
    const gateway = this.#gateway
    gateway.wheel.cancel(this)
    this.body?.detach()
    this.#mirroring?.onEnd(this.failure === null)
    for (const fault of this.runFinishers()) gateway.onFault(fault)
    const { log } = this.runtime
    if (log !== null && (log.sampleRatio === 1 || this.failure !== null || this.status >= 500 || Math.random() < log.sampleRatio)) {
      gateway.accessLog.write(accessRecord(this, log))
    }
    this.runtime.release()
    gateway.onExchangeEnd()
  }
}
