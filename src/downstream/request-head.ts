import type { HttpRequest } from 'uWebSockets.js'
import { Failure } from '../base/failure.ts'
import { isHopByHop, parseTokenList } from '../http/header-names.ts'
import { Headers } from '../http/headers.ts'
import type { RequestHead } from '../http/message.ts'
import { normalisePath } from '../http/path.ts'

/** Most requests name the host that the one before named. */
let lastValidHost = ''

export type HeadBounds = { readonly maxUriBytes: number }

/**
 * What the last forEach has met. One request is read at a time in a thread, and a callback that closes over nothing
 * costs a request nothing.
 */
let headers = new Headers()
let hostCount = 0
let host = ''
let lengthCount = 0
let lengthValue = ''
let codingCount = 0
let codingValue = ''
let connection: string | null = null
let expect: string | null = null
let hasForwarding = false
let hasInvalidValue = false

function collect(name: string, value: string): void {
  // uWS decodes as UTF-8: what is not UTF-8 has become U+FFFD, and can't be passed on as it was sent. DEL is the one
  // control byte that it lets through (RFC 9110 section 5.5).
  if (value.includes('\ufffd') || value.includes('\x7f')) hasInvalidValue = true
  switch (name.length) {
    case 2: if (name === 'te') return; break
    case 3: if (name === 'via') hasForwarding = true; break
    case 4: if (name === 'host') { hostCount++; host = value; return } break
    // uWS has answered 100-continue before the handler ran, so nothing of it travels on.
    case 6: if (name === 'expect') { expect = value; return } break
    case 7: if (isHopByHop(name)) return; break
    case 9: if (name === 'forwarded') hasForwarding = true; break
    case 10: if (name === 'connection') { connection = connection === null ? value : `${connection},${value}`; return }
      if (isHopByHop(name)) return
      break
    case 14: if (name === 'content-length') { lengthCount++; lengthValue = value; return } break
    case 16: if (isHopByHop(name)) return; break
    case 17: if (name === 'transfer-encoding') { codingCount++; codingValue = value; return } break
    case 18: case 19: if (isHopByHop(name)) return; break
  }
  if (name.charCodeAt(0) === 0x78 && (name.startsWith('x-forwarded-') || name.startsWith('x-request-'))) hasForwarding = true
  headers.lines.push(name, value)
}

// RFC 9110 section 5.6.2. uWS passes methods on as they came.
const IS_METHOD = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const KNOWN_METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])
// RFC 9110 section 7.2 with RFC 3986 section 3.2.2: a name or an address, with or without a port.
const IS_HOST = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/
// What of RFC 3986 may stand in a query, and what browsers send besides; no control, space, '#' or byte above 0x7e.
const IS_NOT_QUERY = /[\x00-\x20#\x7f-\uffff]/

/**
 * Reads the head of a request and refuses what is malformed or what two readers could understand differently: uWS is
 * no filter for that (docs/architecture.md has the list). Everything is read here, since `request` is gone when the
 * handler returns.
 *
 * Failures: GW_BAD_REQUEST, GW_URI_TOO_LONG, GW_EXPECTATION_FAILED, GW_NOT_IMPLEMENTED; each closes the connection.
 * Source: RFC 9110 sections 5, 7.2, 10.1.1; RFC 9112 sections 3.2, 6.
 */
export function readRequestHead(request: HttpRequest, bounds: HeadBounds): RequestHead | Failure {
  headers = new Headers()
  hostCount = lengthCount = codingCount = 0
  connection = expect = null
  hasForwarding = hasInvalidValue = false
  request.forEach(collect)

  if (hasInvalidValue) return refuse('header value is not UTF-8 or has a DEL')
  const method = request.getCaseSensitiveMethod()
  // Most are GET: a comparison costs less than a look into a set.
  if (method !== 'GET' && !KNOWN_METHODS.has(method) && (!IS_METHOD.test(method) || KNOWN_METHODS.has(method.toUpperCase()))) {
    return refuse('invalid method')
  }
  const url = request.getUrl()
  const query = request.getQuery() ?? ''
  if (url.length + query.length + 1 > bounds.maxUriBytes) return new Failure('GW_URI_TOO_LONG')
  const path = normalisePath(url)
  if (path === null || path.charCodeAt(0) !== 0x2f) return refuse('invalid path')
  if (query !== '' && IS_NOT_QUERY.test(query)) return refuse('invalid query')
  if (hostCount !== 1) return refuse(hostCount === 0 ? 'no Host' : 'two Host')
  if (host !== lastValidHost) {
    if (!IS_HOST.test(host)) return refuse('invalid Host')
    lastValidHost = host
  }

  let contentLength: number | null = null
  if (lengthCount !== 0) {
    if (lengthCount > 1) return refuse('two Content-Length')
    if (codingCount !== 0) return refuse('Content-Length beside Transfer-Encoding')
    if (!/^\d{1,15}$/.test(lengthValue)) return refuse('invalid Content-Length')
    contentLength = Number(lengthValue)
  }
  if (codingCount !== 0) {
    if (codingCount > 1) return refuse('two Transfer-Encoding')
    if (codingValue.toLowerCase() !== 'chunked') return new Failure('GW_NOT_IMPLEMENTED', 'Transfer-Encoding other than chunked')
  }
  if (expect !== null && (expect as string).toLowerCase() !== '100-continue') return new Failure('GW_EXPECTATION_FAILED')
  if (connection !== null) dropNominated(connection)
  return { method, path, query, host, headers, contentLength, isChunked: codingCount !== 0, hasForwarding }
}

function refuse(cause: string): Failure {
  return new Failure('GW_BAD_REQUEST', cause)
}

/** Headers that Connection names end here (RFC 9110 section 7.6.1). */
function dropNominated(value: string): void {
  if (value === 'keep-alive' || value === 'close') return
  for (const name of parseTokenList(value)) {
    if (name !== 'keep-alive' && name !== 'close') headers.remove(name)
  }
}
