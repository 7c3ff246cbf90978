/** Whose fault a failure is. */
export type FailureOrigin = 'downstream' | 'gateway' | 'upstream'

/**
 * Whether the request may be sent once more, as far as the upstream is concerned:
 * `always`: nothing of it was sent; `ifReused`: the connection may have been closed while it was idle; `never`.
 */
export type FailureRetry = 'never' | 'always' | 'ifReused'

export type FailureKind = {
  readonly status: number
  readonly origin: FailureOrigin
  readonly retry: FailureRetry
  /** One line for the README's table. */
  readonly means: string
}

/** Every reason why there is no proper answer, with its status. The README's table is made from it. */
export const FAILURES = {
  GW_BAD_REQUEST: { status: 400, origin: 'downstream', retry: 'never', means: 'the request is malformed or ambiguous; its connection is closed' },
  GW_UNAUTHENTICATED: { status: 401, origin: 'downstream', retry: 'never', means: 'no credential that the route accepts; WWW-Authenticate names the schemes' },
  GW_FORBIDDEN: { status: 403, origin: 'downstream', retry: 'never', means: 'the caller is known but has no right to this: its groups, its scopes or its address' },
  GW_NO_ROUTE: { status: 404, origin: 'downstream', retry: 'never', means: 'no route matches host, path and conditions' },
  GW_METHOD_NOT_ALLOWED: { status: 405, origin: 'downstream', retry: 'never', means: 'routes match, but for other methods; Allow names them' },
  GW_BODY_TOO_LARGE: { status: 413, origin: 'downstream', retry: 'never', means: 'the body is larger than maxBodyBytes, as announced or as counted; its connection is closed' },
  GW_URI_TOO_LONG: { status: 414, origin: 'downstream', retry: 'never', means: 'path and query are longer than bounds.maxUriBytes' },
  GW_EXPECTATION_FAILED: { status: 417, origin: 'downstream', retry: 'never', means: 'Expect asks for something else than 100-continue' },
  GW_RATE_LIMITED: { status: 429, origin: 'downstream', retry: 'never', means: 'a limit of the route has no tokens left for its key; Retry-After says when it has' },
  GW_CONCURRENCY_LIMITED: { status: 429, origin: 'downstream', retry: 'never', means: 'maxConcurrent.requests of this key are under way already' },
  GW_CLIENT_GONE: { status: 499, origin: 'downstream', retry: 'never', means: 'the client left before its answer was complete (in the access log only)' },
  GW_NOT_IMPLEMENTED: { status: 501, origin: 'downstream', retry: 'never', means: 'a transfer coding other than chunked; its connection is closed' },
  GW_INTERNAL: { status: 500, origin: 'gateway', retry: 'never', means: 'a fault of the gateway itself; the log tells more' },
  GW_DRAINING: { status: 503, origin: 'gateway', retry: 'never', means: 'the gateway is stopping' },
  GW_OVERLOADED: { status: 503, origin: 'gateway', retry: 'never', means: 'the worker has too much to do, and the priority of the route is among those that are shed now' },
  GW_AUTH_UNAVAILABLE: { status: 503, origin: 'gateway', retry: 'never', means: 'who asks can\'t be told now: keys, introspection or the deciding service don\'t answer, or too many checks are under way' },
  GW_STORE_UNAVAILABLE: { status: 503, origin: 'gateway', retry: 'never', means: 'Redis does not answer, and a limit of the route says onStoreFailure: deny' },
  GW_EXCHANGE_TIMEOUT: { status: 504, origin: 'gateway', retry: 'never', means: 'the exchange took longer than the timeoutMs of its route' },
  GW_UPSTREAM_UNRESOLVED: { status: 502, origin: 'upstream', retry: 'always', means: 'the name of the endpoint did not resolve' },
  GW_UPSTREAM_REFUSED: { status: 502, origin: 'upstream', retry: 'always', means: 'no connection to the endpoint: refused or unreachable' },
  GW_UPSTREAM_CONNECT_TIMEOUT: { status: 504, origin: 'upstream', retry: 'always', means: 'no connection to the endpoint within connectTimeoutMs' },
  GW_UPSTREAM_TLS: { status: 502, origin: 'upstream', retry: 'always', means: 'the TLS handshake failed or the certificate was not accepted' },
  GW_UPSTREAM_RESET: { status: 502, origin: 'upstream', retry: 'ifReused', means: 'the connection ended before the answer was complete' },
  GW_UPSTREAM_PROTOCOL: { status: 502, origin: 'upstream', retry: 'never', means: 'the answer is not valid HTTP/1.1, or its framing is ambiguous' },
  GW_UPSTREAM_HEAD_TOO_LARGE: { status: 502, origin: 'upstream', retry: 'never', means: 'the response head is larger than maxHeadBytes of the upstream' },
  GW_UPSTREAM_HEAD_TIMEOUT: { status: 504, origin: 'upstream', retry: 'never', means: 'no response head within headTimeoutMs' },
  GW_UPSTREAM_IDLE_TIMEOUT: { status: 504, origin: 'upstream', retry: 'never', means: 'the upstream stopped in the middle of a body for longer than idleTimeoutMs' },
  GW_UPSTREAM_PENDING_FULL: { status: 503, origin: 'upstream', retry: 'never', means: 'breaker.maxPending requests wait for a connection already' },
  GW_UPSTREAM_PENDING_TIMEOUT: { status: 503, origin: 'upstream', retry: 'never', means: 'no connection became free within breaker.pendingTimeoutMs' },
  GW_UPSTREAM_IN_FLIGHT_FULL: { status: 503, origin: 'upstream', retry: 'never', means: 'breaker.maxInFlight requests are with the upstream already' },
  GW_UPSTREAM_LIMITED: { status: 503, origin: 'upstream', retry: 'never', means: 'as many requests are with the upstream as its adaptive limit allows' },
  GW_UPSTREAM_BREAKER_OPEN: { status: 503, origin: 'upstream', retry: 'never', means: 'the breaker of the upstream is open: too many of its requests failed' },
  GW_UPSTREAM_NO_ENDPOINT: { status: 503, origin: 'upstream', retry: 'never', means: 'the upstream has no endpoint: its discovery has found none' },
} as const satisfies Record<string, FailureKind>

export type FailureCode = keyof typeof FAILURES

/** Why there is no proper answer, as a value. */
export class Failure {
  readonly code: FailureCode
  /** What a log line should say besides; never shown to a client, never a secret. */
  readonly cause: string | null
  readonly status: number
  readonly origin: FailureOrigin
  readonly retry: FailureRetry
  /** When it is worth asking again, in milliseconds from now; told with a 429 and a 503, in whole seconds, rounded up. */
  readonly retryAfterMs: number

  constructor(code: FailureCode, cause: string | null = null, retryAfterMs = 1000) {
    const kind: FailureKind = FAILURES[code]
    this.code = code
    this.cause = cause
    this.status = kind.status
    this.origin = kind.origin
    this.retry = kind.retry
    this.retryAfterMs = retryAfterMs
  }
}
