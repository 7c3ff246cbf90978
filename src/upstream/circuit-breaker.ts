import { RollingCounts } from '../base/rolling-counts.ts'
import type { UpstreamConfig } from '../config/schema.ts'

export type BreakerState = 'closed' | 'open' | 'half-open'

/** As in the document, where `failureRatio` is not null: without one there is no breaker. */
export type CircuitBreakerConfig =
  Pick<UpstreamConfig['breaker'], 'windowMs' | 'minRequests' | 'openMs' | 'halfOpenRequests'> & { readonly failureRatio: number }

/** The ticket of a request that may not go. */
export const REFUSED = 0

/**
 * Stops asking an upstream that mostly fails, and tries again with a few requests after a while. Each admitted request
 * has a ticket, which is the number of the state it was admitted in; every change of state starts a new number. What
 * comes back with an old one is ignored, so requests from before the breaker opened cannot close it or open it again.
 */
export class CircuitBreaker {
  readonly #config: CircuitBreakerConfig
  readonly #counts: RollingCounts
  #state: BreakerState = 'closed'
  #generation = 1
  #openUntilMs = 0
  /** While half open: requests under way, and those that succeeded. */
  #trials = 0
  #successes = 0

  constructor(config: CircuitBreakerConfig) {
    this.#config = config
    this.#counts = new RollingCounts(config.windowMs)
  }

  /** Open until a request comes after `openMs`: only `tryAcquire` makes it half open. */
  get state(): BreakerState {
    return this.#state
  }

  /** A ticket that is to be given back once, to `record` or `cancel`; or REFUSED. */
  tryAcquire(nowMs: number): number {
    if (this.#state === 'closed') return this.#generation
    if (this.#state === 'open') {
      if (nowMs < this.#openUntilMs) return REFUSED
      this.#enter('half-open')
    }
    if (this.#trials >= this.#config.halfOpenRequests) return REFUSED
    this.#trials++
    return this.#generation
  }

  /** Takes the outcome of an admitted request. The new state if that changed it, else null. */
  record(ticket: number, isFailure: boolean, nowMs: number): BreakerState | null {
    if (ticket !== this.#generation) return null
    if (this.#state === 'closed') {
      this.#counts.add(isFailure, nowMs)
      return isFailure && this.#isOverRatio(nowMs) ? this.#open(nowMs) : null
    }
    this.#trials--
    if (isFailure) return this.#open(nowMs)
    this.#successes++
    return this.#successes >= this.#config.halfOpenRequests ? this.#enter('closed') : null
  }

  /** For an admitted request that tells nothing of the upstream, as when the client left: lets another one try. */
  cancel(ticket: number): void {
    if (ticket === this.#generation && this.#state === 'half-open') this.#trials--
  }

  /** Until it tries again; 0 when it is not open, or due. While it is half open nobody knows. */
  retryAfterMs(nowMs: number): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntilMs - nowMs) : 0
  }

  #isOverRatio(nowMs: number): boolean {
    const total = this.#counts.total(nowMs)
    return total >= this.#config.minRequests && this.#counts.failures(nowMs) / total >= this.#config.failureRatio
  }

  #open(nowMs: number): BreakerState {
    this.#openUntilMs = nowMs + this.#config.openMs
    return this.#enter('open')
  }

  #enter(state: BreakerState): BreakerState {
    this.#state = state
    this.#generation++
    this.#trials = 0
    this.#successes = 0
    this.#counts.reset()
    return state
  }
}
