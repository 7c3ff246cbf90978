import type { HttpResponse } from 'uWebSockets.js'
import type { BodySink, BodySource } from '../http/message.ts'

/** Kept while nobody takes the body yet; then the client is paused. One more read of uWS (512 KB) may still come. */
const MAX_EARLY_BYTES = 131_072

export interface BodyEvents {
  /** More than `maxBytes` have come. */
  onTooLarge(): void
  /** The last byte has come. */
  onComplete(): void
  /** Bytes were dropped that nobody wants; `byteCount` of them so far. */
  onDiscarded(byteCount: number): void
}

/**
 * The body of a request on its way in. Counts against `maxBytes` whether or not a length was announced; uWS checks an
 * announced one. A piece is copied once, since uWS takes its memory back.
 */
export class RequestBody implements BodySource {
  readonly contentLength: number | null
  readonly #response: HttpResponse
  readonly #maxBytes: number
  readonly #events: BodyEvents
  #sink: BodySink | null = null
  #early: Buffer[] = []
  #earlyBytes = 0
  #isPaused = false
  #isDiscarded = false
  #discardedBytes = 0
  isComplete = false
  /** Body bytes that came in so far. */
  byteCount = 0

  /** Must be made before the handler returns: what came with the head is delivered right after it. */
  constructor(response: HttpResponse, contentLength: number | null, maxBytes: number, events: BodyEvents) {
    this.#response = response
    this.contentLength = contentLength
    this.#maxBytes = maxBytes
    this.#events = events
    response.onData((chunk, isLast) => this.#onData(chunk, isLast))
  }

  start(sink: BodySink): void {
    if (this.#isDiscarded) return
    this.#sink = sink
    let wantsMore = true
    for (const chunk of this.#early) wantsMore = sink.write(chunk)
    this.#early = []
    this.#earlyBytes = 0
    if (this.isComplete) sink.end()
    else if (wantsMore) this.resume()
    else this.#pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#response.resume()
  }

  discard(): void {
    this.#isDiscarded = true
    this.#sink = null
    this.#early = []
    this.resume()
  }

  /** After the exchange: uWS has taken `response` back, so nothing is called on it any more. */
  detach(): void {
    this.#isDiscarded = true
    this.#sink = null
    this.#early = []
    this.#isPaused = false
  }

  #pause(): void {
    if (this.#isPaused || this.isComplete) return
    this.#isPaused = true
    this.#response.pause()
  }

  #onData(chunk: ArrayBuffer, isLast: boolean): void {
    const wasWithin = this.byteCount <= this.#maxBytes
    this.byteCount += chunk.byteLength
    if (isLast) this.isComplete = true
    if (wasWithin && this.byteCount > this.#maxBytes) {
      this.discard()
      this.#events.onTooLarge()
    } else if (this.#isDiscarded) {
      this.#discardedBytes += chunk.byteLength
      this.#events.onDiscarded(this.#discardedBytes)
    } else {
      // Copied: uWS takes the memory of `chunk` back.
      if (chunk.byteLength > 0) this.#take(Buffer.from(new Uint8Array(chunk)))
      if (isLast) this.#sink?.end()
    }
    if (isLast) this.#events.onComplete()
  }

  #take(copy: Buffer): void {
    if (this.#sink !== null) {
      if (!this.#sink.write(copy)) this.#pause()
      return
    }
    this.#early.push(copy)
    this.#earlyBytes += copy.length
    if (this.#earlyBytes > MAX_EARLY_BYTES) this.#pause()
  }
}
