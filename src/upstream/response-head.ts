import { Headers } from '../http/headers.ts'
import { latin1 } from '../http/latin1.ts'

/** Lines of a response head beyond this number are refused; nginx and Node stand at similar numbers of bytes. */
export const MAX_HEADER_LINES = 256

/**
 * A response head where it was read, as byte ranges of the read buffer: most heads travel on without ever being
 * strings one by one. Valid only during the call that hands it over. One object a connection, used again and again.
 */
export class ParsedHead {
  status = 0
  /** null when the length is not known before the end. */
  contentLength: number | null = null
  isChunked = false
  /** The connection may serve another request after this answer. */
  isKeptAlive = true
  /** From `Keep-Alive: timeout=`; null without one. */
  keepAliveHintMs: number | null = null
  buffer: Buffer = Buffer.alloc(0)
  /** name start, name end, value start, value end of each line that travels on. */
  readonly ranges = new Int32Array(MAX_HEADER_LINES * 4)
  lineCount = 0
  /** Bytes above 0x7e stand in some value: they are passed on as bytes, not as text. */
  hasObsText = false

  /** Lines as text with names in lower case, for policies. Bytes above 0x7e become Latin-1 characters. */
  toHeaders(): Headers {
    const headers = new Headers()
    const { ranges, buffer } = this
    for (let i = 0; i < this.lineCount * 4; i += 4) {
      headers.add(
        latin1(buffer, ranges[i]!, ranges[i + 1]!).toLowerCase(),
        latin1(buffer, ranges[i + 2]!, ranges[i + 3]!),
      )
    }
    return headers
  }

  /**
   * Taken from the buffer as it stands there, without the lines that were left out: what the parser has checked byte by
   * byte needs no other look.
   */
  toText(): string | null {
    if (this.hasObsText) return null
    const { ranges, lineCount } = this
    if (lineCount === 0) return ''
    const last = lineCount * 4 - 4
    const start = ranges[0]! - 2
    // One call of Node's for all: it costs more than the characters.
    const whole = latin1(this.buffer, start, ranges[last + 3]!)
    let text = ''
    let from = 0
    for (let i = 0; i < last; i += 4) {
      const to = ranges[i + 3]!
      // The next line begins behind the CRLF of this one, unless one was left out, or white space, in between.
      if (ranges[i + 4] === to + 2) continue
      text += whole.slice(from, to - start)
      from = ranges[i + 4]! - 2 - start
    }
    return from === 0 ? whole : text + whole.slice(from)
  }

  writeTo(write: (name: string, value: string | Uint8Array) => void): void {
    const { ranges, buffer } = this
    for (let i = 0; i < this.lineCount * 4; i += 4) {
      const value = ranges[i + 2]!
      write(latin1(buffer, ranges[i]!, ranges[i + 1]!), buffer.subarray(value, ranges[i + 3]!))
    }
  }

  /** Leaves out the lines that `isDropped` names (in lower case). */
  drop(isDropped: (name: string) => boolean): void {
    const { ranges, buffer } = this
    let kept = 0
    for (let i = 0; i < this.lineCount * 4; i += 4) {
      if (isDropped(latin1(buffer, ranges[i]!, ranges[i + 1]!).toLowerCase())) continue
      ranges.copyWithin(kept, i, i + 4)
      kept += 4
    }
    this.lineCount = kept / 4
  }
}
