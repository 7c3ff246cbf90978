import { STATUS_CODES } from 'node:http'
import type { Failure } from '../base/failure.ts'
import { Headers } from '../http/headers.ts'
import type { ResponseHead } from '../http/message.ts'

/** Failures after which the bytes that follow on the connection can't be trusted to be a request. */
const CLOSING = new Set(['GW_BAD_REQUEST', 'GW_URI_TOO_LONG', 'GW_EXPECTATION_FAILED', 'GW_NOT_IMPLEMENTED'])

export function closesConnection(failure: Failure): boolean {
  return CLOSING.has(failure.code)
}

/**
 * The one place that turns a failure into a response: application/problem+json (RFC 9457). It tells the code and the
 * request id, and nothing of the inside: no address, no cause.
 */
export function problemOf(failure: Failure, requestId: string, allow: readonly string[] | null): { head: ResponseHead; body: Buffer } {
  const { status, code } = failure
  const body = Buffer.from(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, code, requestId }))
  const lines = new Headers()
  lines.add('content-type', 'application/problem+json')
  lines.add('x-request-id', requestId)
  if (allow !== null) lines.add('allow', allow.join(', '))
  if (status === 429 || status === 503) lines.add('retry-after', String(Math.max(1, Math.ceil(failure.retryAfterMs / 1000))))
  return { head: { status, lines, contentLength: body.length }, body }
}
