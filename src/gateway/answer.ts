import type { RequestBody } from '../downstream/request-body.ts'
import type { ResponseWriter } from '../downstream/response-writer.ts'
import type { ResponseHead } from '../http/message.ts'

const EMPTY = Buffer.alloc(0)
/** Of a request body that nobody wants: how long, and how much of it, is waited for. */
export const LINGER_MS = 2000
const LINGER_BYTES = 4 * 1024 * 1024

/** What an answer tells its exchange. */
export interface AnswerEvents {
  /** The client has taken all of it. May come during `begin` and `write`. */
  onAnswerDone(): void
  /** All is written but the end, which waits for the client; `LINGER_MS` from now it is enough. */
  onAnswerLingers(): void
}

/**
 * The answer of one exchange on its way to the client. One that begins before the client has sent all of its body is
 * framed in chunks and held back at its end: a connection closed under a client that still sends would destroy the
 * answer on its way (RFC 9112 section 9.6), and one that is in step again can be used again.
 */
export class Answer {
  readonly #writer: ResponseWriter
  readonly #events: AnswerEvents
  #body: RequestBody | null = null
  /** The last piece was given to the writer. */
  #isComplete = false
  #isHeld = false

  constructor(writer: ResponseWriter, events: AnswerEvents) {
    this.#writer = writer
    this.#events = events
  }

  get hasBegun(): boolean {
    return this.#writer.hasBegun
  }

  get byteCount(): number {
    return this.#writer.byteCount
  }

  /** Nothing but the end is missing. */
  get isLingering(): boolean {
    return this.#isComplete && this.#isHeld
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** `closes`: the connection ends with the answer. False: the client is slow. */
  begin(head: ResponseHead, isHeadMethod: boolean, chunk: Buffer, isLast: boolean, closes: boolean, body: RequestBody | null): boolean {
    this.#body = body
    this.#isHeld = body !== null && !body.isComplete && !closes
    const wantsMore = this.#writer.begin(head, isHeadMethod, chunk, isLast && !this.#isHeld, closes, this.#isHeld)
    if (isLast) this.#complete()
    return wantsMore
  }

  write(chunk: Buffer, isLast: boolean): boolean {
    const wantsMore = this.#writer.write(chunk, isLast && !this.#isHeld)
    if (isLast) this.#complete()
    return wantsMore
  }

  /** Cuts the connection: the client must not take what it has for a whole answer. */
  abort(): void {
    this.#writer.abort()
  }

  /** The client is gone: nothing may be written any more. */
  abandon(): void {
    this.#writer.isDone = true
  }

  /** The client takes more again; true when it has taken all. */
  onDrain(): boolean {
    return this.#writer.isDone
  }

  onBodyComplete(): void {
    if (this.isLingering) this.#release()
  }

  /** True when it is enough, and the connection is cut. */
  onBodyDiscarded(byteCount: number): boolean {
    if (!this.isLingering || byteCount <= LINGER_BYTES) return false
    this.abort()
    return true
  }

  #complete(): void {
    this.#isComplete = true
    if (this.#isHeld && !this.#writer.isDone) {
      this.#body!.discard()
      if (this.#body!.isComplete) this.#release()
      else this.#events.onAnswerLingers()
      return
    }
    if (this.#writer.isDone) this.#events.onAnswerDone()
  }

  #release(): void {
    this.#isHeld = false
    this.#writer.write(EMPTY, true)
    if (this.#writer.isDone) this.#events.onAnswerDone()
  }
}
