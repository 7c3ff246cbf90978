import { IS_TOKEN, IS_VALUE } from './head-scanner.ts'

const CR = 0x0d
const LF = 0x0a
const SEMICOLON = 0x3b

type State =
  | 'sizeFirst' | 'size' | 'extension' | 'sizeLf' | 'data' | 'dataCr' | 'dataLf'
  | 'lineStart' | 'trailerName' | 'trailerValue' | 'trailerLf' | 'endLf'

/** Bytes of chunk extensions in one body: they carry nothing that is used, so a flood of them is a fault. */
const MAX_EXTENSION_BYTES = 16_384
const MAX_TRAILER_BYTES = 32_768

/**
 * Decodes the chunked transfer coding strictly; trailers are checked and dropped. It keeps no bytes: data is handed on
 * where it stands.
 * Source: RFC 9112 section 7.1.
 */
export class ChunkedDecoder {
  #state: State = 'sizeFirst'
  #left = 0
  #digits = 0
  #extensionBytes = 0
  #trailerBytes = 0
  /** A byte of the extension at hand has come. */
  #hasExtension = false
  problem = ''

  reset(): void {
    this.#state = 'sizeFirst'
    this.#left = 0
    this.#digits = 0
    this.#extensionBytes = 0
    this.#trailerBytes = 0
  }

  /**
   * Decodes from `start` to at most `end`; `onData` gets the range of each piece of the body.
   * Answers the position after the body's end, -1 when the bytes ran out before it, -2 when they are invalid.
   */
  execute(buffer: Buffer, start: number, end: number, onData: (from: number, to: number) => void): number {
    let at = start
    while (at < end) {
      if (this.#state === 'data') {
        const taken = Math.min(this.#left, end - at)
        onData(at, at + taken)
        at += taken
        this.#left -= taken
        if (this.#left === 0) this.#state = 'dataCr'
        continue
      }
      const byte = buffer[at++]!
      switch (this.#state) {
        case 'sizeFirst':
        case 'size': {
          const value = hexadecimal(byte)
          if (value >= 0) {
            // 13 digits stay below 2 ** 53.
            if (++this.#digits > 13) return this.#invalid('chunk size is too large')
            this.#left = this.#left * 16 + value
            this.#state = 'size'
          } else if (this.#state === 'sizeFirst') return this.#invalid('chunk size is not a number')
          else if (byte === CR) this.#state = 'sizeLf'
          else if (byte === SEMICOLON) {
            this.#state = 'extension'
            this.#hasExtension = false
          }
          else return this.#invalid('invalid byte in a chunk size')
          break
        }
        case 'extension':
          if (++this.#extensionBytes > MAX_EXTENSION_BYTES) return this.#invalid('chunk extensions are too long')
          if (byte === CR && this.#hasExtension) this.#state = 'sizeLf'
          else if (byte === SEMICOLON && this.#hasExtension) this.#hasExtension = false
          // Token, `=` or a quoted token: what a reader could stumble over is refused, since nobody sends it.
          else if (IS_TOKEN[byte] === 1 || ((byte === 0x3d || byte === 0x22) && this.#hasExtension)) this.#hasExtension = true
          else return this.#invalid('invalid chunk extension')
          break
        case 'sizeLf':
          if (byte !== LF) return this.#invalid('CR without LF after a chunk size')
          this.#digits = 0
          this.#state = this.#left === 0 ? 'lineStart' : 'data'
          break
        case 'dataCr':
          if (byte !== CR) return this.#invalid('chunk is longer than its size')
          this.#state = 'dataLf'
          break
        case 'dataLf':
          if (byte !== LF) return this.#invalid('CR without LF after a chunk')
          this.#state = 'sizeFirst'
          break
        case 'lineStart':
          if (byte === CR) this.#state = 'endLf'
          else if (IS_TOKEN[byte] === 1) this.#state = 'trailerName'
          else return this.#invalid('invalid trailer')
          break
        case 'trailerName':
          if (++this.#trailerBytes > MAX_TRAILER_BYTES) return this.#invalid('trailers are too long')
          if (byte === 0x3a) this.#state = 'trailerValue'
          else if (IS_TOKEN[byte] === 0) return this.#invalid('invalid trailer name')
          break
        case 'trailerValue':
          if (++this.#trailerBytes > MAX_TRAILER_BYTES) return this.#invalid('trailers are too long')
          if (byte === CR) this.#state = 'trailerLf'
          else if (IS_VALUE[byte] === 0) return this.#invalid('invalid byte in a trailer')
          break
        case 'trailerLf':
          if (byte !== LF) return this.#invalid('CR without LF in a trailer')
          this.#state = 'lineStart'
          break
        case 'endLf':
          if (byte !== LF) return this.#invalid('CR without LF at the end of a body')
          return at
      }
    }
    return -1
  }

  #invalid(problem: string): number {
    this.problem = problem
    return -2
  }
}

function hexadecimal(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
