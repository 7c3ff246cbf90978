import type { BodySink, BodySource } from '../http/message.ts'

/**
 * A request body that can be sent more than once: what passes through is kept as long as it fits into `maxBytes`. One
 * sink at a time; each gets the body from its beginning.
 */
export class ReplayBody implements BodySource, BodySink {
  readonly #source: BodySource
  readonly #maxBytes: number
  readonly #onEnd: () => void
  #pieces: Buffer[] = []
  #keptBytes = 0
  #isReplayable = true
  #isEnded = false
  #sink: BodySink | null = null
  /** Pieces that the sink has. */
  #position = 0
  #isStarted = false

  /** `onEnd`: the last byte has come. */
  constructor(source: BodySource, maxBytes: number, onEnd: () => void = () => {}) {
    this.#source = source
    this.#maxBytes = maxBytes
    this.#onEnd = onEnd
  }

  get contentLength(): number | null {
    return this.#source.contentLength
  }

  get isComplete(): boolean {
    return this.#source.isComplete
  }

  /** Another sink would get all of it. */
  get isReplayable(): boolean {
    return this.#isReplayable
  }

  /** All of it, once it is complete; null before, and when it was too large. */
  get whole(): Buffer | null {
    return this.#isEnded && this.#isReplayable ? Buffer.concat(this.#pieces) : null
  }

  start(sink: BodySink): void {
    this.#sink = sink
    this.#position = 0
    this.resume()
  }

  resume(): void {
    while (this.#position < this.#pieces.length) {
      const sink = this.#sink
      if (sink === null) return
      if (!sink.write(this.#pieces[this.#position++]!)) return
    }
    if (this.#sink === null) return
    if (this.#isEnded) this.#finish()
    else if (this.#isStarted) this.#source.resume()
    else {
      this.#isStarted = true
      this.#source.start(this)
    }
  }

  stop(): void {
    this.#sink = null
    this.#isStarted = false
    this.#source.stop()
  }

  discard(): void {
    this.#sink = null
    this.#pieces = []
    this.#isReplayable = false
    this.#source.discard()
  }

  // As the sink of its source.
  write(chunk: Uint8Array): boolean {
    if (this.#isReplayable) {
      this.#keptBytes += chunk.length
      if (this.#keptBytes <= this.#maxBytes) {
        this.#pieces.push(Buffer.from(chunk))
        this.#position++
      } else {
        this.#isReplayable = false
        this.#pieces = []
        this.#position = 0
      }
    }
    return this.#sink === null ? false : this.#sink.write(chunk)
  }

  end(): void {
    this.#isEnded = true
    this.#finish()
    this.#onEnd()
  }

  #finish(): void {
    const sink = this.#sink
    this.#sink = null
    sink?.end()
  }
}
