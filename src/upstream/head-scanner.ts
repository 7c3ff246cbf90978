import { parseTokenList } from '../http/header-names.ts'
import { latin1 } from '../http/latin1.ts'
import { MAX_HEADER_LINES, type ParsedHead } from './response-head.ts'

/** Which bytes may stand in a token (RFC 9110 section 5.6.2). */
export const IS_TOKEN = new Uint8Array(256)
for (const character of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  IS_TOKEN[character.charCodeAt(0)] = 1
}
/** Which bytes may stand in a field value (RFC 9110 section 5.5): 1 ASCII, 2 obs-text. */
export const IS_VALUE = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  if (byte === 0x09 || (byte >= 0x20 && byte <= 0x7e)) IS_VALUE[byte] = 1
  else if (byte >= 0x80) IS_VALUE[byte] = 2
}

const CR = 0x0d
const LF = 0x0a
const SP = 0x20
const TAB = 0x09
const COLON = 0x3a
const DEL = 0x7f

const TE = bytesOf('te')
const DATE = bytesOf('date')
const TRAILER = bytesOf('trailer')
const UPGRADE = bytesOf('upgrade')
const CONNECTION = bytesOf('connection')
const CLOSE = bytesOf('close')
const KEEP_ALIVE = bytesOf('keep-alive')
const TIMEOUT = bytesOf('timeout=')
const CONTENT_LENGTH = bytesOf('content-length')
const PROXY_CONNECTION = bytesOf('proxy-connection')
const TRANSFER_ENCODING = bytesOf('transfer-encoding')
const CHUNKED = bytesOf('chunked')
const PROXY_AUTHENTICATE = bytesOf('proxy-authenticate')

/** Compared by bytes: to read a character of a string costs several times as much. */
function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text))
}

/** What scanHead answers besides a position. */
export const INCOMPLETE = -1
export const INVALID = -2

/** Why the last scan said INVALID, for the log. One scan is under way at a time in a thread. */
export let scanProblem = ''

function invalid(problem: string): number {
  scanProblem = problem
  return INVALID
}

/**
 * Reads a response head strictly: status line, then lines of token, colon, value and CRLF. Bare LF, a bare CR, obs-fold,
 * white space before the colon and control bytes are invalid, and so is framing that two readers could take
 * differently. A line that ends at the connection (hop-by-hop, Date, Content-Length) is not among the ranges.
 *
 * Answers the position after the head, INCOMPLETE or INVALID.
 * Source: RFC 9112 sections 2.2, 4, 5, 6.
 */
export function scanHead(buffer: Buffer, start: number, end: number, head: ParsedHead): number {
  let at = start
  // HTTP/1.x SP 3DIGIT
  if (end - at < 13) return looksLikeHttp(buffer, at, end) ? INCOMPLETE : invalid('does not begin with HTTP/1')
  if (!looksLikeHttp(buffer, at, end)) return invalid('does not begin with HTTP/1')
  const isVersion11 = buffer[at + 7] === 0x31
  const status = digit(buffer[at + 9]!) * 100 + digit(buffer[at + 10]!) * 10 + digit(buffer[at + 11]!)
  if (!(status >= 100 && status <= 599)) return invalid('status is not a number from 100 to 599')
  at += 12
  if (buffer[at] === SP) {
    at++
    while (at < end && IS_VALUE[buffer[at]!] !== 0) at++
  }
  if (at >= end) return INCOMPLETE
  if (buffer[at] !== CR) return invalid('invalid byte in the status line')
  if (++at >= end) return INCOMPLETE
  if (buffer[at] !== LF) return invalid('CR without LF in the status line')
  at++

  head.buffer = buffer
  head.status = status
  head.contentLength = null
  head.isChunked = false
  head.isKeptAlive = isVersion11
  head.keepAliveHintMs = null
  head.lineCount = 0
  head.hasObsText = false
  const ranges = head.ranges
  let kept = 0
  let lines = 0
  let nominated: string | null = null
  let hasTransferEncoding = false

  for (;;) {
    if (at >= end) return INCOMPLETE
    if (buffer[at] === CR) {
      if (at + 1 >= end) return INCOMPLETE
      if (buffer[at + 1] !== LF) return invalid('CR without LF')
      at += 2
      break
    }
    if (++lines > MAX_HEADER_LINES) return invalid('too many header lines')
    const nameStart = at
    while (at < end && IS_TOKEN[buffer[at]!] === 1) at++
    if (at >= end) return INCOMPLETE
    if (buffer[at] !== COLON || at === nameStart) return invalid('invalid header name')
    const nameEnd = at
    at++
    while (at < end && (buffer[at] === SP || buffer[at] === TAB)) at++
    const valueStart = at
    let bits = 0
    for (; at < end; at++) {
      const byte = buffer[at]!
      if (byte < SP ? byte !== TAB : byte === DEL) break
      bits |= byte
    }
    if (at >= end) return INCOMPLETE
    if (buffer[at] !== CR) return invalid('invalid byte in a header value')
    if (at + 1 >= end) return INCOMPLETE
    if (buffer[at + 1] !== LF) return invalid('CR without LF in a header')
    let valueEnd = at
    while (valueEnd > valueStart && (buffer[valueEnd - 1] === SP || buffer[valueEnd - 1] === TAB)) valueEnd--
    at += 2

    switch (nameEnd - nameStart) {
      case 2: if (isName(buffer, nameStart, TE)) continue; break
      case 4: if (isName(buffer, nameStart, DATE)) continue; break
      case 7: if (isName(buffer, nameStart, TRAILER) || isName(buffer, nameStart, UPGRADE)) continue; break
      case 10:
        if (isName(buffer, nameStart, CONNECTION)) {
          const length = valueEnd - valueStart
          if (length === KEEP_ALIVE.length && isName(buffer, valueStart, KEEP_ALIVE)) head.isKeptAlive = true
          else if (length === CLOSE.length && isName(buffer, valueStart, CLOSE)) head.isKeptAlive = false
          else {
            const value = latin1(buffer, valueStart, valueEnd)
            nominated = nominated === null ? value : `${nominated},${value}`
          }
          continue
        }
        if (isName(buffer, nameStart, KEEP_ALIVE)) {
          head.keepAliveHintMs = hintMs(buffer, valueStart, valueEnd) ?? head.keepAliveHintMs
          continue
        }
        break
      case 14:
        if (isName(buffer, nameStart, CONTENT_LENGTH)) {
          if (head.contentLength !== null) return invalid('two Content-Length')
          if (valueEnd === valueStart || valueEnd - valueStart > 15) return invalid('invalid Content-Length')
          let length = 0
          for (let i = valueStart; i < valueEnd; i++) {
            const value = digit(buffer[i]!)
            if (!(value >= 0)) return invalid('invalid Content-Length')
            length = length * 10 + value
          }
          head.contentLength = length
          continue
        }
        break
      case 16: if (isName(buffer, nameStart, PROXY_CONNECTION)) continue; break
      case 17:
        if (isName(buffer, nameStart, TRANSFER_ENCODING)) {
          if (hasTransferEncoding) return invalid('two Transfer-Encoding')
          if (valueEnd - valueStart !== 7 || !isName(buffer, valueStart, CHUNKED)) return invalid('Transfer-Encoding other than chunked')
          hasTransferEncoding = true
          continue
        }
        break
      // Asks for credentials for a proxy that the client never chose.
      case 18: if (isName(buffer, nameStart, PROXY_AUTHENTICATE)) continue; break
    }
    if (bits & 0x80) head.hasObsText = true
    ranges[kept] = nameStart
    ranges[kept + 1] = nameEnd
    ranges[kept + 2] = valueStart
    ranges[kept + 3] = valueEnd
    kept += 4
  }
  head.lineCount = kept >> 2

  if (hasTransferEncoding) {
    if (head.contentLength !== null) return invalid('Content-Length beside Transfer-Encoding')
    if (!isVersion11) return invalid('Transfer-Encoding in HTTP/1.0')
    head.isChunked = true
  }
  if (nominated !== null) applyConnection(head, nominated)
  return at
}

/** Connection with more than the usual one token: `close` wins, other names are headers to leave out. */
function applyConnection(head: ParsedHead, value: string): void {
  const names = parseTokenList(value)
  if (names.includes('close')) head.isKeptAlive = false
  else if (names.includes('keep-alive')) head.isKeptAlive = true
  head.drop(name => names.includes(name))
}

const HTTP_1 = Buffer.from('HTTP/1.')

function looksLikeHttp(buffer: Buffer, start: number, end: number): boolean {
  const length = end - start
  for (let i = 0; i < 7 && i < length; i++) if (buffer[start + i] !== HTTP_1[i]) return false
  if (length > 7 && buffer[start + 7] !== 0x30 && buffer[start + 7] !== 0x31) return false
  return length <= 8 || buffer[start + 8] === SP
}

function digit(byte: number): number {
  return byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : NaN
}

/**
 * Whether the bytes at `start` are `name` in any case; the caller has compared the lengths. Of the bytes that may
 * stand in a name or a value, setting bit 5 makes no other one a small letter, a hyphen or an equals sign.
 */
function isName(buffer: Buffer, start: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if ((buffer[start + i]! | 0x20) !== name[i]) return false
  return true
}

/** The timeout in a Keep-Alive header; null without one. */
function hintMs(buffer: Buffer, start: number, end: number): number | null {
  // Node's servers send it with every answer, and nothing else in it.
  const digits = end - start - TIMEOUT.length
  if (digits >= 1 && digits <= 6 && isName(buffer, start, TIMEOUT)) {
    let seconds = 0
    for (let at = start + TIMEOUT.length; at < end; at++) seconds = seconds * 10 + digit(buffer[at]!)
    if (!Number.isNaN(seconds)) return seconds * 1000
  }
  const hint = /(?:^|[,\s])timeout\s*=\s*(\d{1,6})/i.exec(latin1(buffer, start, end))
  return hint === null ? null : Number(hint[1]) * 1000
}
