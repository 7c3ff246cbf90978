import { STATUS_CODES } from 'node:http'
import type { HttpResponse } from 'uWebSockets.js'
import { BLOCK_BYTES, giveBlock, takeBlock } from '../base/blocks.ts'
import type { ResponseHead } from '../http/message.ts'

/** Status lines made once. */
const STATUS_LINES: string[] = []
for (let status = 0; status < 600; status++) STATUS_LINES.push(`${status} ${STATUS_CODES[status] ?? 'Unknown'}`)

/**
 * Largest piece for `write`: uWS corks 16 KiB, and a piece with its chunk framing (and a head before it) that does not
 * fit is sent in two.
 */
const MAX_CHUNK_BYTES = 16_384 - 256
const EMPTY = Buffer.alloc(0)

type Mode = 'none' | 'sized' | 'chunked'

/**
 * Writes one response and says whether the client keeps up. A piece of a body is only valid during the call; what the
 * client does not take is copied: at most one read of the upstream, since the answer is then false.
 */
export class ResponseWriter {
  readonly #response: HttpResponse
  readonly #onDrain: () => void
  #mode: Mode = 'none'
  #total = 0
  /** What is left of a piece that the client did not take at once, in `sized` mode. */
  #rest: Buffer = EMPTY
  /** The memory of `#rest`, when it is a block. */
  #block: Buffer | null = null
  #isBlocked = false
  #isEndPending = false
  #hasWritableHandler = false
  hasBegun = false
  /** Ended, aborted or left by the client: `response` must not be touched any more. */
  isDone = false
  /** Body bytes that were handed to uWS. */
  byteCount = 0

  constructor(response: HttpResponse, onDrain: () => void) {
    this.#response = response
    this.#onDrain = onDrain
  }

  /**
   * Writes head and first piece in one send; all of it when `isLast`. `closes` ends the connection with the response;
   * of a response that comes in pieces it can only ask the client to (uWS ends connections in `end` alone, and there it
   * writes the header in the middle of a chunked body). `isChunked` frames the body in chunks even when its length is
   * known, so that its end can wait.
   */
  begin(head: ResponseHead, isHeadMethod: boolean, chunk: Buffer, isLast: boolean, closes: boolean, isChunked = false): boolean {
    if (this.isDone) return true
    this.hasBegun = true
    const { status, contentLength } = head
    const response = this.#response
    const text = head.lines.toText()
    const hasNoBody = isHeadMethod || status === 204 || status === 304
    let wantsMore = true
    response.cork(() => {
      // uWS puts what it gets as a status between the version and a line end, as it is: one call for the whole head.
      if (text !== null) response.writeStatus(STATUS_LINES[status]! + text)
      else {
        response.writeStatus(STATUS_LINES[status]!)
        head.lines.writeTo((name, value) => { response.writeHeader(name, value) })
      }
      if (hasNoBody) this.#endWithoutBody(status, isHeadMethod ? contentLength : null, closes)
      else if (isLast && !isChunked && chunk.length <= MAX_CHUNK_BYTES) {
        this.byteCount = chunk.length
        response.end(chunk, closes)
        this.isDone = true
      } else if (contentLength !== null && !isChunked) {
        this.#mode = 'sized'
        this.#total = contentLength
        if (closes) response.writeHeader('connection', 'close')
        wantsMore = this.#writeSized(chunk)
      } else {
        this.#mode = 'chunked'
        if (closes) response.writeHeader('connection', 'close')
        wantsMore = chunk.length === 0 || chunk.length > MAX_CHUNK_BYTES - 4096 || this.#writeChunked(chunk)
      }
    })
    if (this.#mode === 'chunked' && chunk.length > MAX_CHUNK_BYTES - 4096) wantsMore = this.#writeSlices(chunk)
    if (this.#mode === 'chunked' && isLast) this.#endChunked()
    return wantsMore
  }

  /** False: the client is slow; `onDrain` tells when it takes more. */
  write(chunk: Buffer, isLast: boolean): boolean {
    if (this.isDone) return true
    if (this.#mode === 'sized') {
      if (chunk.length === 0) return !this.#isBlocked
      let wantsMore = true
      this.#response.cork(() => { wantsMore = this.#writeSized(chunk) })
      return wantsMore
    }
    const wantsMore = chunk.length === 0 ? !this.#isBlocked : this.#writeSlices(chunk)
    if (isLast) this.#endChunked()
    return wantsMore
  }

  /** Cuts the connection: the client must not take what it has for a whole answer. */
  abort(): void {
    if (this.isDone) return
    this.isDone = true
    this.#response.close()
  }

  #endWithoutBody(status: number, contentLength: number | null, closes: boolean): void {
    const response = this.#response
    this.isDone = true
    // uWS closes only in `end`, which writes a length of 0: right for a refusal, not for an answer to HEAD.
    if (closes && status >= 400) {
      response.end('', true)
      return
    }
    if (closes) response.writeHeader('connection', 'close')
    // Written here: given to endWithoutBody, uWS would wait for that many bytes.
    if (contentLength !== null && status !== 204 && status !== 304) response.writeHeader('content-length', String(contentLength))
    response.endWithoutBody()
  }

  #writeSized(chunk: Buffer): boolean {
    this.byteCount += chunk.length
    if (this.#isBlocked) {
      this.#keep(chunk)
      return false
    }
    const response = this.#response
    const before = response.getWriteOffset()
    const [isWritten, isDone] = response.tryEnd(chunk, this.#total)
    if (isDone) this.isDone = true
    else if (!isWritten) {
      this.#keep(chunk.subarray(response.getWriteOffset() - before))
      this.#wait()
      return false
    }
    return true
  }

  /** Copied: the caller's buffer is used again for the next read. */
  #keep(rest: Buffer): void {
    if (this.#rest.length > 0 || rest.length > BLOCK_BYTES) {
      this.#rest = Buffer.concat([this.#rest, rest])
      return
    }
    this.#block = takeBlock()
    rest.copy(this.#block)
    this.#rest = this.#block.subarray(0, rest.length)
  }

  #writeSlices(chunk: Buffer): boolean {
    let wantsMore = true
    for (let at = 0; at < chunk.length && !this.isDone; at += MAX_CHUNK_BYTES) {
      const slice = chunk.subarray(at, at + MAX_CHUNK_BYTES)
      this.#response.cork(() => { wantsMore = this.#writeChunked(slice) })
    }
    return wantsMore
  }

  #writeChunked(chunk: Buffer): boolean {
    this.byteCount += chunk.length
    // uWS keeps what the client does not take: never more than one read, since the upstream is paused now.
    if (this.#response.write(chunk)) return !this.#isBlocked
    this.#wait()
    return false
  }

  #endChunked(): void {
    if (this.isDone) return
    // What uWS holds for a slow client goes out first: until then the exchange is open, also for a drain.
    if (this.#isBlocked) {
      this.#isEndPending = true
      return
    }
    this.isDone = true
    this.#response.cork(() => { this.#response.end() })
  }

  #wait(): void {
    this.#isBlocked = true
    if (this.#hasWritableHandler) return
    this.#hasWritableHandler = true
    this.#response.onWritable(() => this.#onWritable())
  }

  #onWritable(): boolean {
    if (this.isDone) return true
    if (this.#rest.length > 0) {
      const rest = this.#rest
      let isWritten = false
      this.#response.cork(() => {
        const before = this.#response.getWriteOffset()
        const [ok, isDone] = this.#response.tryEnd(rest, this.#total)
        isWritten = ok
        if (isDone) this.isDone = true
        else this.#rest = rest.subarray(this.#response.getWriteOffset() - before)
      })
      if (!isWritten && !this.isDone) return false
      this.#rest = EMPTY
      if (this.#block !== null) giveBlock(this.#block)
      this.#block = null
    }
    this.#isBlocked = false
    if (this.#isEndPending) this.#endChunked()
    this.#onDrain()
    return true
  }
}
