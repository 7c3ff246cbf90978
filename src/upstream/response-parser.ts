import { Failure } from '../base/failure.ts'
import { ChunkedDecoder } from './chunked-decoder.ts'
import { INCOMPLETE, INVALID, scanHead, scanProblem } from './head-scanner.ts'
import { ParsedHead } from './response-head.ts'

/** A final answer follows at most so many interim ones. */
const MAX_INTERIM_RESPONSES = 32
const EMPTY = Buffer.alloc(0)

export interface ResponseEvents {
  /** The method of the request that the next answer belongs to; null when no request is waiting for one. */
  awaitedMethod(): string | null
  /**
   * A final head, with what of its body stands right behind it: so a small answer is one event, and one write.
   * Both are only valid during the call.
   */
  onHead(head: ParsedHead, chunk: Buffer, isLast: boolean): void
  onBody(chunk: Buffer, isLast: boolean): void
  /** The answer is complete; called after the event with `isLast`. */
  onComplete(isKeptAlive: boolean): void
}

type State = 'head' | 'sized' | 'chunked' | 'untilClose'

/**
 * Reads the answers on one connection, one after the other. Strict: what two readers could understand differently is a
 * failure. It copies bytes only when a head is split over reads.
 *
 * 1xx are swallowed: Expect never travels upstream, and a client may ignore the rest (RFC 9110 section 15.2).
 * 101 is a failure, since Upgrade never travels upstream.
 *
 * Failures: GW_UPSTREAM_PROTOCOL, GW_UPSTREAM_HEAD_TOO_LARGE, GW_UPSTREAM_RESET (at the end of the stream).
 * Source: RFC 9112 sections 6.3 and 7.
 */
export class ResponseParser {
  readonly #events: ResponseEvents
  readonly #maxHeadBytes: number
  readonly #head = new ParsedHead()
  #chunked: ChunkedDecoder | null = null
  #state: State = 'head'
  #left = 0
  #pending: Buffer | null = null
  #pendingLength = 0
  #interim = 0

  constructor(events: ResponseEvents, maxHeadBytes: number) {
    this.#events = events
    this.#maxHeadBytes = maxHeadBytes
  }

  /** Whether bytes of an answer have come that is not complete. */
  get isInMessage(): boolean {
    return this.#state !== 'head' || this.#pendingLength > 0 || this.#interim > 0
  }

  /** Takes what was read; null, or why the connection is of no use any more. */
  execute(buffer: Buffer, length: number): Failure | null {
    let at = 0
    while (at < length) {
      switch (this.#state) {
        case 'head': {
          const next = this.#pendingLength > 0 ? this.#continueHead(buffer, at, length) : this.#beginHead(buffer, at, length)
          if (next instanceof Failure) return next
          at = next
          break
        }
        case 'sized': {
          const taken = Math.min(this.#left, length - at)
          this.#left -= taken
          const isLast = this.#left === 0
          this.#events.onBody(buffer.subarray(at, at + taken), isLast)
          at += taken
          if (isLast) this.#complete()
          break
        }
        case 'chunked': {
          const decoder = this.#chunked!
          const next = decoder.execute(buffer, at, length, (from, to) => this.#events.onBody(buffer.subarray(from, to), false))
          if (next === -2) return new Failure('GW_UPSTREAM_PROTOCOL', decoder.problem)
          if (next === -1) return null
          at = next
          this.#events.onBody(EMPTY, true)
          this.#complete()
          break
        }
        case 'untilClose':
          this.#events.onBody(at === 0 ? buffer.subarray(0, length) : buffer.subarray(at, length), false)
          return null
      }
    }
    return null
  }

  /** The upstream has ended its side; null when that was a proper end of an answer or nothing was under way. */
  finish(): Failure | null {
    if (this.#state === 'untilClose') {
      this.#events.onBody(EMPTY, true)
      this.#complete()
      return null
    }
    return this.isInMessage ? new Failure('GW_UPSTREAM_RESET', 'closed in the middle of an answer') : null
  }

  #beginHead(buffer: Buffer, start: number, end: number): number | Failure {
    const method = this.#events.awaitedMethod()
    if (method === null) return new Failure('GW_UPSTREAM_PROTOCOL', 'bytes without a request')
    const next = scanHead(buffer, start, end, this.#head)
    if (next === INVALID) return new Failure('GW_UPSTREAM_PROTOCOL', scanProblem)
    if (next === INCOMPLETE) {
      this.#keep(buffer, start, end)
      return this.#isTooLong() ?? end
    }
    if (next - start > this.#maxHeadBytes) return new Failure('GW_UPSTREAM_HEAD_TOO_LARGE')
    return this.#beginBody(method, buffer, next, end)
  }

  #continueHead(buffer: Buffer, start: number, end: number): number | Failure {
    const before = this.#pendingLength
    this.#keep(buffer, start, end)
    // Lines end in LF: without a new one the head can't be complete, and scanning it again would tell nothing.
    if (!hasLineFeed(buffer, start, end)) return this.#isTooLong() ?? end
    const next = scanHead(this.#pending!, 0, this.#pendingLength, this.#head)
    if (next === INVALID) return new Failure('GW_UPSTREAM_PROTOCOL', scanProblem)
    if (next === INCOMPLETE) return this.#isTooLong() ?? end
    if (next > this.#maxHeadBytes) return new Failure('GW_UPSTREAM_HEAD_TOO_LARGE')
    this.#pendingLength = 0
    // Counted from the start of the head; its last bytes are in this read.
    const position = this.#beginBody(this.#events.awaitedMethod()!, buffer, start + (next - before), end)
    if (this.#pendingLength === 0) this.#pending = null
    return position
  }

  /** At most the bound on a head and one read: what is longer and still no head is refused right after. */
  #keep(buffer: Buffer, start: number, end: number): void {
    const length = this.#pendingLength + end - start
    if (this.#pending === null || this.#pending.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(2048, length * 2))
      this.#pending?.copy(larger, 0, 0, this.#pendingLength)
      this.#pending = larger
    }
    buffer.copy(this.#pending, this.#pendingLength, start, end)
    this.#pendingLength = length
  }

  #isTooLong(): Failure | null {
    return this.#pendingLength > this.#maxHeadBytes ? new Failure('GW_UPSTREAM_HEAD_TOO_LARGE') : null
  }

  /** Framing by RFC 9112 section 6.3; answers the position of the first byte that is not consumed. */
  #beginBody(method: string, buffer: Buffer, at: number, end: number): number | Failure {
    const head = this.#head
    const events = this.#events
    if (head.status < 200) {
      if (head.status === 101) return new Failure('GW_UPSTREAM_PROTOCOL', '101 without an Upgrade')
      if (++this.#interim > MAX_INTERIM_RESPONSES) return new Failure('GW_UPSTREAM_PROTOCOL', 'too many interim answers')
      return at
    }
    if (method === 'HEAD' || head.status === 204 || head.status === 304) {
      // A body announced with 204 can only be a fault; were one to follow, it would look like the next answer.
      if (head.status === 204 && (head.isChunked || head.contentLength)) head.isKeptAlive = false
      events.onHead(head, EMPTY, true)
      this.#complete()
      return at
    }
    if (head.isChunked) {
      this.#chunked ??= new ChunkedDecoder()
      this.#chunked.reset()
      this.#state = 'chunked'
      events.onHead(head, EMPTY, false)
      return at
    }
    const length = head.contentLength
    if (length === null) {
      head.isKeptAlive = false
      this.#state = 'untilClose'
      events.onHead(head, EMPTY, false)
      return at
    }
    const taken = Math.min(length, end - at)
    const isLast = taken === length
    this.#left = length - taken
    this.#state = 'sized'
    events.onHead(head, taken === 0 ? EMPTY : buffer.subarray(at, at + taken), isLast)
    if (isLast) this.#complete()
    return at + taken
  }

  #complete(): void {
    this.#state = 'head'
    this.#interim = 0
    this.#events.onComplete(this.#head.isKeptAlive)
  }
}

function hasLineFeed(buffer: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (buffer[at] === 0x0a) return true
  return false
}
