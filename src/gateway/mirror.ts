import type { Failure } from '../base/failure.ts'
import type { RouteConfig } from '../config/schema.ts'
import { BytesBody } from '../http/bytes-body.ts'
import type { BodySource, RequestHead } from '../http/message.ts'
import type { Call, CallListener } from '../upstream/call.ts'
import type { ParsedHead } from '../upstream/response-head.ts'
import { type JsonComparer, MAX_COMPARED_BYTES } from './json-comparer.ts'

export type MirrorConfig = NonNullable<RouteConfig['mirror']>

/** What a copy is made of; an exchange is one. Read during `start` only. */
export interface MirroredRequest {
  readonly request: RequestHead
  readonly upstreamPath: string
  /** Whole lines of text, besides those of `request`. */
  readonly forwarding: string
}

export type MirrorShipment = MirroredRequest & { readonly body: BodySource | null }

/** The upstream of the copies: picks an endpoint, makes the head for it and sends a Call with `listener`, once. */
export interface MirrorTarget {
  /** The listener gets every outcome, possibly before this returns. */
  send(shipment: MirrorShipment, listener: CallListener): void
}

export type MirrorDeps = {
  readonly target: MirrorTarget
  readonly comparer: JsonComparer
  /** 0 to below 1. */
  readonly random: () => number
  /** Of the monotonic clock. */
  readonly nowMs: () => number
  /** A copy whose answer goes on for longer (timeoutMs of the route) is cut. */
  readonly timeoutMs: number
  readonly onFault: (cause: unknown) => void
}

/** Counts since they were last taken. */
export type MirrorCounters = {
  /** Copies that were sent. */
  copied: number
  /** Chosen, but not copied: `maxInFlight` were under way, or the body was larger than `maxBodyBytes`. */
  dropped: number
  /** Copies that got no whole answer; their statuses do not count here. */
  failed: number
  /** Pairs of which both got an answer; the sums of times below are over these. */
  compared: number
  statusDiffers: number
  /** Pairs whose bodies were compared: both whole, at most 64 KiB long, and one of them JSON (or the same bytes). */
  jsonCompared: number
  jsonDiffers: number
  /** Sum of the times from sending to the response head. */
  primaryMs: number
  mirrorMs: number
  /** The most by which a copy was slower than its primary. */
  maxSlowerMs: number
}

/**
 * What the exchange tells of its own answer, so that it can be compared. `onPrimaryEnd` must come exactly once a copy,
 * whatever happens (step 8, finish): until then the copy keeps its place among `maxInFlight`.
 */
export interface MirrorComparison {
  /** An upstream has answered. `latencyMs`: from the sending of the try that won. */
  onPrimaryHead(status: number, latencyMs: number): void
  /** A piece of the body as the upstream sent it; it is copied where it is needed. */
  onPrimaryBody(chunk: Uint8Array): void
  /** `isWhole`: the answer came to its proper end. */
  onPrimaryEnd(isWhole: boolean): void
}

/**
 * Copies requests of one route to another upstream and drops the answers; one a route and worker. It has no effect on
 * the primary: it never waits, all it holds is bounded by `maxInFlight` (a body of `maxBodyBytes` each, and with
 * `compare: json` 128 KiB), and a copy that fails is only counted. A copy is tried once: on an idle connection that the
 * upstream has just closed it fails.
 */
export class Mirror {
  readonly upstreamName: string
  readonly maxBodyBytes: number
  readonly #ratio: number
  readonly #maxInFlight: number
  readonly #deps: MirrorDeps
  readonly #compares: Compared
  readonly #tally: Tally = { inFlight: 0, counters: zeroCounters() }

  constructor(config: MirrorConfig, deps: MirrorDeps) {
    this.upstreamName = config.upstream
    this.maxBodyBytes = config.maxBodyBytes
    this.#ratio = config.ratio
    this.#maxInFlight = config.maxInFlight
    this.#deps = deps
    const compares = new Set(config.compare)
    this.#compares = {
      isOn: compares.size > 0, status: compares.has('status'), latency: compares.has('latency'), json: compares.has('json'),
    }
  }

  get inFlight(): number {
    return this.#tally.inFlight
  }

  /** Draws whether a request is to be copied: once a request, before its body is kept for `start`. */
  chooses(): boolean {
    return this.#deps.random() < this.#ratio
  }

  /** A chosen request is not copied after all: its body is larger than `maxBodyBytes`. */
  drop(): void {
    this.#tally.counters.dropped++
  }

  /**
   * Sends a copy of a chosen request; to be called when the primary has been sent. `body` is whole, null without one;
   * nobody may write to it any more. Null when no copy was made, or nothing is compared: then nothing need be told.
   */
  start(from: MirroredRequest, body: Uint8Array | null): MirrorComparison | null {
    const tally = this.#tally
    if (tally.inFlight >= this.#maxInFlight || (body !== null && body.length > this.maxBodyBytes)) {
      tally.counters.dropped++
      return null
    }
    tally.inFlight++
    tally.counters.copied++
    const copy = new MirrorCopy(this.#deps, this.#compares, tally)
    copy.send(shipmentOf(from, body))
    return this.#compares.isOn ? copy : null
  }

  /** The counts since the last time; they start anew. */
  takeCounters(): MirrorCounters {
    const { counters } = this.#tally
    this.#tally.counters = zeroCounters()
    return counters
  }
}

type Compared = { readonly isOn: boolean; readonly status: boolean; readonly latency: boolean; readonly json: boolean }

/** What a mirror and its copies count; `counters` is another object after each report. */
type Tally = { inFlight: number; counters: MirrorCounters }

/** One side of a comparison. */
class Side {
  /** null until a head has come. */
  status: number | null = null
  latencyMs = 0
  isWhole = false
  isOver = false
  #chunks: Buffer[] | null
  #byteCount = 0

  constructor(keepsBody: boolean) {
    this.#chunks = keepsBody ? [] : null
  }

  add(chunk: Uint8Array): void {
    if (this.#chunks === null || chunk.length === 0) return
    this.#byteCount += chunk.length
    if (this.#byteCount > MAX_COMPARED_BYTES) this.#chunks = null
    else this.#chunks.push(Buffer.from(chunk))
  }

  /** null when it is not all there. */
  get body(): Buffer | null {
    return this.#chunks === null || !this.isWhole ? null : Buffer.concat(this.#chunks)
  }
}

class MirrorCopy implements CallListener, MirrorComparison {
  readonly #deps: MirrorDeps
  readonly #compares: Compared
  readonly #tally: Tally
  readonly #primary: Side
  readonly #mirror: Side
  readonly #startMs: number

  constructor(deps: MirrorDeps, compares: Compared, tally: Tally) {
    this.#deps = deps
    this.#compares = compares
    this.#tally = tally
    this.#primary = new Side(compares.json)
    this.#mirror = new Side(compares.json)
    this.#primary.isOver = !compares.isOn
    this.#startMs = deps.nowMs()
  }

  send(shipment: MirrorShipment): void {
    try {
      this.#deps.target.send(shipment, this)
    } catch (cause) {
      // A fault on the way of a copy must not become one of its primary.
      this.#deps.onFault(cause)
      this.#endMirror(false)
    }
  }

  // Of the copy. It takes all at once: an answer that nobody reads must not hold a connection.
  onResponse(call: Call, head: ParsedHead, chunk: Buffer, isLast: boolean): boolean {
    this.#mirror.status = head.status
    this.#mirror.latencyMs = this.#deps.nowMs() - this.#startMs
    return this.onBody(call, chunk, isLast)
  }

  onBody(call: Call, chunk: Buffer, isLast: boolean): boolean {
    this.#mirror.add(chunk)
    if (isLast) this.#endMirror(true)
    else if (this.#deps.nowMs() - this.#startMs > this.#deps.timeoutMs) {
      // Looked at where pieces come, so that it takes no timer: without pieces the upstream's idle timeout ends it.
      call.cancel()
      this.#endMirror(false)
    }
    return true
  }

  onFailure(_call: Call, _failure: Failure): void {
    this.#endMirror(false)
  }

  // Of the primary.
  onPrimaryHead(status: number, latencyMs: number): void {
    this.#primary.status = status
    this.#primary.latencyMs = latencyMs
  }

  onPrimaryBody(chunk: Uint8Array): void {
    this.#primary.add(chunk)
  }

  onPrimaryEnd(isWhole: boolean): void {
    if (this.#primary.isOver) return
    this.#primary.isOver = true
    this.#primary.isWhole = isWhole
    this.#settle()
  }

  #endMirror(isWhole: boolean): void {
    if (this.#mirror.isOver) return
    this.#mirror.isOver = true
    this.#mirror.isWhole = isWhole
    if (!isWhole) this.#tally.counters.failed++
    this.#settle()
  }

  #settle(): void {
    const primary = this.#primary
    const mirror = this.#mirror
    if (!primary.isOver || !mirror.isOver) return
    this.#tally.inFlight--
    if (primary.status === null || mirror.status === null || !mirror.isWhole) return
    const { counters } = this.#tally
    counters.compared++
    if (this.#compares.status && primary.status !== mirror.status) counters.statusDiffers++
    if (this.#compares.latency) {
      counters.primaryMs += primary.latencyMs
      counters.mirrorMs += mirror.latencyMs
      counters.maxSlowerMs = Math.max(counters.maxSlowerMs, mirror.latencyMs - primary.latencyMs)
    }
    if (this.#compares.json) this.#compareBodies(primary.body, mirror.body)
  }

  #compareBodies(primary: Buffer | null, mirror: Buffer | null): void {
    if (primary === null || mirror === null) return
    this.#deps.comparer.compare(primary, mirror, isSame => {
      if (isSame === null) return
      const { counters } = this.#tally
      counters.jsonCompared++
      if (!isSame) counters.jsonDiffers++
    })
  }
}

/** The body of a copy has a length, however that of the request was framed. */
function shipmentOf({ request, upstreamPath, forwarding }: MirroredRequest, body: Uint8Array | null): MirrorShipment {
  return {
    request: request.isChunked ? { ...request, isChunked: false, contentLength: body?.length ?? 0 } : request,
    upstreamPath,
    forwarding,
    body: body === null || body.length === 0 ? null : new BytesBody(body),
  }
}

function zeroCounters(): MirrorCounters {
  return {
    copied: 0, dropped: 0, failed: 0, compared: 0, statusDiffers: 0, jsonCompared: 0, jsonDiffers: 0,
    primaryMs: 0, mirrorMs: 0, maxSlowerMs: 0,
  }
}
