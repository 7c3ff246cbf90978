import type { Headers } from './headers.ts'

/**
 * The head of a request as it came in, after the checks of downstream/request-head.ts.
 * Hop-by-hop headers, those that Connection names, Host and the framing are out of `headers` and in fields here.
 */
export type RequestHead = {
  readonly method: string
  /** Normalised; see http/path.ts. */
  readonly path: string
  /** Raw, without the question mark; '' if there is none. A policy may take a credential out of it. */
  query: string
  /** The Host header, checked. */
  readonly host: string
  readonly headers: Headers
  /** Announced length; null without one. */
  readonly contentLength: number | null
  readonly isChunked: boolean
  /** Some line says where the request has been before: X-Forwarded-*, Forwarded, Via, X-Request-Id. */
  readonly hasForwarding: boolean
}

/** The head of a response on its way to the client. Hop-by-hop headers, Date and the framing are not among its lines. */
export type ResponseHead = {
  readonly status: number
  readonly lines: HeadLines
  /** Length of the body in bytes (of HEAD: that GET would have); null when it is not known before its end. */
  readonly contentLength: number | null
}

/** Header lines that can be written: a list of text, or ranges of a read buffer. */
export interface HeadLines {
  /** All lines in one text, each behind a CRLF; null when some value has bytes that are no text. */
  toText(): string | null
  writeTo(write: (name: string, value: string | Uint8Array) => void): void
}

/** Takes the pieces of a body. A piece is only valid during the call: what is kept is copied. */
export interface BodySink {
  /** False: no more for now; the source pauses until `BodySource.resume()`. */
  write(chunk: Uint8Array): boolean
  end(): void
}

/** Gives the pieces of a body, under the control of who takes them. */
export interface BodySource {
  /** Length in bytes; null when it is not known before the end. */
  readonly contentLength: number | null
  readonly isComplete: boolean
  /** Starts the flow into `sink`; what came before is handed over at once. */
  start(sink: BodySink): void
  resume(): void
  /** Its sink is gone; another may come by `start`, and gets what has not been handed over. */
  stop(): void
  /** Nobody wants the rest: it is counted and dropped. */
  discard(): void
}
