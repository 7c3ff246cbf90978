/**
 * Tier 0 of a limit that several nodes share: it holds the buckets, debits tokens when it grants them (never when they
 * are used), and so bounds what all nodes together can admit. The limiter asks it off the path of a request where it
 * can: a node takes a handful of tokens as a lease, which it uses up within `leaseMs` or loses.
 *
 * A lost or doubled grant only burns tokens, so an implementation may retry, and may lose replies.
 */
export interface Authority {
  /**
   * Asks for tokens of one or more buckets in one call; replies stand in the order of the requests. No two requests of a
   * call name the same bucket. Rejects when the store could not be reached, refused, or did not answer in its own time limit;
   * the limiter then goes by `onStoreFailure`. It waits no longer than `leaseMs` (10 ms where that is 0) for a reply
   * and throws a later one away, so a time limit of half of that is enough.
   */
  grant(requests: readonly GrantRequest[]): Promise<readonly GrantReply[]>
}

/**
 * With k the tokens that the bucket has now: min(capacity, what it had + rate × the time since); a bucket that is not
 * known is empty as of the start of the store's run (LIMITER.md, "Tier 0"):
 *
 *     floor(k) < atLeast         grants 0, debits nothing
 *     want <= k                  grants want
 *     else                       grants min(want, floor(k), max(atLeast, ceil(k / nodes that contend)))
 */
export type GrantRequest = {
  /**
   * Names the bucket, the same on all nodes, another one when rate or burst change: 22 characters of A-Z a-z 0-9 - _
   * (128 bits of a digest; no key of a client stands in it).
   */
  readonly bucket: string
  /** > 0, fractions allowed. */
  readonly requestsPerSecond: number
  /** Most tokens the bucket holds; >= 1, fractions allowed. The burst without the reserve for leases, or all of it in direct mode. */
  readonly capacity: number
  /** Tokens asked for; integer >= 1. Never above `capacity`. */
  readonly want: number
  /** The least that is of use: with less nothing is granted. Integer, 1 to `want`; equal to it in direct mode. */
  readonly atLeast: number
  /** How long the tokens are good for from the moment the call is sent, in milliseconds; 0: for this one request (direct mode). */
  readonly leaseMs: number
}

export type GrantReply = {
  /** Integer, 0 to `want`. */
  readonly granted: number
  /** Whole tokens that are left in the bucket. */
  readonly remaining: number
  /** When `atLeast` tokens (where something was granted: one more) will be there if nobody else asks, in milliseconds; 0 where `want` was granted. */
  readonly retryAfterMs: number
}
