import type { Failure } from '../base/failure.ts'
import type { Call } from '../upstream/call.ts'

/** A second connection can be stale as well; then the client is told. */
const MAX_TRIES = 2
/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * Whether a call that failed is sent once more: only when it met a connection that had been used before and gave no
 * byte of an answer, so that the peer most likely closed it while it was idle, and when sending twice does no harm:
 * the method is idempotent and there is no body that has been taken from the client already.
 * Source: RFC 9112 section 9.3.1; RFC 9110 section 9.2.2.
 */
export function maySendAgain(call: Call, failure: Failure, tries: number): boolean {
  return failure.retry === 'ifReused' && call.isOnReused && !call.hasResponse && tries < MAX_TRIES &&
    call.body === null && IDEMPOTENT.has(call.method)
}
