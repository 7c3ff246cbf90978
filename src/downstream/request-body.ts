import type { HttpResponse } from 'uWebSockets.js'
import type { BodySink, BodySource } from '../http/message.ts'
import { BodyBacklog } from './body-backlog.ts'

/** Kept while nobody takes the body yet; then the client is paused. */
const MAX_EARLY_BYTES = 131_072

export interface BodyEvents {
  /** More than `maxBytes` have come. */
  onTooLarge(): void
  /** The last byte has come. */
  onComplete(): void
  /** Bytes were dropped that nobody wants; `byteCount` of them so far. */
  onDiscarded(byteCount: number): void
  /** What could not be kept is lost, and the exchange with it. */
  onFault(cause: unknown): void
}

/**
 * The body of a request on its way in. Counts against `maxBytes` whether or not a length was announced; uWS checks an
 * announced one. uWS takes the memory of a piece back: what can't go on at once is copied.
 */
export class RequestBody implements BodySource {
  readonly contentLength: number | null
  readonly #response: HttpResponse
  readonly #maxBytes: number
  readonly #events: BodyEvents
  readonly #backlog = new BodyBacklog()
  #sink: BodySink | null = null
  /** The sink takes more; while it does not, all that comes waits in the backlog. */
  #wantsMore = false
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
    this.resume()
  }

  resume(): void {
    this.#wantsMore = true
    try {
      while (this.#wantsMore && this.#sink !== null) {
        const piece = this.#backlog.shift()
        if (piece === null) break
        this.#wantsMore = this.#sink.write(piece)
      }
    } catch (cause) {
      this.#events.onFault(cause)
      return
    }
    if (!this.#backlog.isEmpty) return
    if (this.isComplete) this.#end()
    else if (this.#wantsMore) this.#unpause()
  }

  stop(): void {
    this.#sink = null
    this.#wantsMore = false
  }

  discard(): void {
    this.#isDiscarded = true
    this.#sink = null
    this.#backlog.clear()
    this.#unpause()
  }

  /** After the exchange: uWS has taken `response` back, so nothing is called on it any more. */
  detach(): void {
    this.#isDiscarded = true
    this.#sink = null
    this.#backlog.clear()
    this.#isPaused = false
  }

  #end(): void {
    const sink = this.#sink
    // Told once, though a sink that is slow to its end asks for more.
    this.#sink = null
    sink?.end()
  }

  #pause(): void {
    if (this.#isPaused || this.isComplete) return
    this.#isPaused = true
    this.#response.pause()
  }

  #unpause(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#response.resume()
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
      if (chunk.byteLength > 0) this.#take(new Uint8Array(chunk))
      if (isLast && this.#backlog.isEmpty) this.#end()
    }
    if (isLast) this.#events.onComplete()
  }

  #take(piece: Uint8Array): void {
    if (this.#sink !== null && this.#wantsMore) {
      this.#wantsMore = this.#sink.write(piece)
      if (!this.#wantsMore) this.#pause()
      return
    }
    try {
      this.#backlog.push(piece)
    } catch (cause) {
      this.#events.onFault(cause)
      return
    }
    if (this.#sink !== null || this.#backlog.byteCount > MAX_EARLY_BYTES) this.#pause()
  }
}
