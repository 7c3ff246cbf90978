import { RollingCounts } from '../base/rolling-counts.ts'

/** Retries that need no requests to stand for them: at a time, and in a window. */
const FLOOR = 3
const WINDOW_MS = 10_000
/** Slots make a window up to a tenth shorter; nine of these ten cover all of WINDOW_MS. */
const RETRY_WINDOW_MS = 11_200

/**
 * Keeps retries from multiplying the load of an upstream that fails. One is allowed when both hold:
 * fewer are under way than `budgetRatio` of the requests under way, or than three; and, with it, those of any ten
 * seconds that end now are at most `budgetRatio` of the requests that came in them, plus three.
 * Hence in T seconds there are at most `budgetRatio` × requests + 3 × ceil(T / 10) retries, whatever happens.
 */
export class RetryBudget {
  readonly #budgetRatio: number
  readonly #requests = new RollingCounts(WINDOW_MS)
  // Errs on the safe side: requests are counted over at most ten seconds, retries over at least ten.
  readonly #retries = new RollingCounts(RETRY_WINDOW_MS)
  #requestsInFlight = 0
  #retriesInFlight = 0

  /** `budgetRatio`: retries for each request, 0 or more. */
  constructor(budgetRatio: number) {
    this.#budgetRatio = budgetRatio
  }

  /** A request comes from a client; its retries are no further ones. Ended by one `onRequestEnd`. */
  onRequest(nowMs: number): void {
    this.#requestsInFlight++
    this.#requests.add(false, nowMs)
  }

  onRequestEnd(): void {
    this.#requestsInFlight--
  }

  /** True takes one retry out of the budget; it is under way until `onRetryEnd`. */
  tryRetry(nowMs: number): boolean {
    if (this.#retriesInFlight >= Math.max(FLOOR, this.#budgetRatio * this.#requestsInFlight)) return false
    if (this.#retries.total(nowMs) + 1 > this.#budgetRatio * this.#requests.total(nowMs) + FLOOR) return false
    this.#retriesInFlight++
    this.#retries.add(false, nowMs)
    return true
  }

  onRetryEnd(): void {
    this.#retriesInFlight--
  }
}
