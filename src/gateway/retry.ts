import type { Failure } from '../base/failure.ts'
import type { UpstreamConfig } from '../config/schema.ts'
import type { RequestHead } from '../http/message.ts'
import type { Call } from '../upstream/call.ts'

export type RetriesConfig = UpstreamConfig['retries']

/** RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether doing it twice does no harm: by its method, or since its client says that the upstream tells copies apart. */
export function isRepeatable(request: RequestHead): boolean {
  return IDEMPOTENT.has(request.method) || request.headers.get('idempotency-key') !== undefined
}

/**
 * A connection that had been used before and gave no byte of an answer was most likely closed by its peer while it was
 * idle: that is no failure of the endpoint, and costs no try. Source: RFC 9112 section 9.3.1.
 */
export function isStale(call: Call, failure: Failure): boolean {
  return failure.retry === 'ifReused' && call.isOnReused && !call.hasResponse
}

/** What of an upstream's `retries` decides about another try; compiled once. */
export class RetryPolicy {
  readonly attempts: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
  readonly maxBodyBytes: number
  readonly #onConnect: boolean
  readonly #onReset: boolean
  readonly #onTimeout: boolean
  readonly #statuses: ReadonlySet<number>

  constructor(config: RetriesConfig) {
    this.attempts = config.attempts
    this.backoffMs = config.backoffMs
    this.maxBackoffMs = config.maxBackoffMs
    this.maxBodyBytes = config.maxBodyBytes
    this.#onConnect = config.on.includes('connect')
    this.#onReset = config.on.includes('reset')
    this.#onTimeout = config.on.includes('timeout')
    this.#statuses = new Set(config.on.filter(reason => typeof reason === 'number'))
  }

  /** `mayRepeat`: the request is repeatable and its body can be sent again. */
  wantsAfterFailure(failure: Failure, mayRepeat: boolean): boolean {
    // Nothing was sent, so nothing can have been done twice.
    if (failure.retry === 'always') return this.#onConnect
    if (!mayRepeat) return false
    return (this.#onReset && failure.code === 'GW_UPSTREAM_RESET') ||
      (this.#onTimeout && failure.code === 'GW_UPSTREAM_HEAD_TIMEOUT')
  }

  wantsAfterStatus(status: number): boolean {
    return this.#statuses.has(status)
  }
}
