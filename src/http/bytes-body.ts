import type { BodySink, BodySource } from './message.ts'

/** A body that is there as a whole. Nobody may write to `bytes` any more. */
export class BytesBody implements BodySource {
  readonly contentLength: number
  readonly isComplete = true
  readonly #bytes: Uint8Array
  #sink: BodySink | null = null

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.contentLength = bytes.length
  }

  start(sink: BodySink): void {
    this.#sink = sink
    if (this.#bytes.length === 0 || sink.write(this.#bytes)) this.resume()
  }

  /** All has been written: what is left is the end. */
  resume(): void {
    const sink = this.#sink
    this.#sink = null
    sink?.end()
  }

  /** Another sink gets all of it again. */
  stop(): void {
    this.#sink = null
  }

  discard(): void {
    this.#sink = null
  }
}
