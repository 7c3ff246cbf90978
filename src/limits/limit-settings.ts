/** One limit of one route, as the limiter takes it. */
export type LimitSettings = {
  /** Names the bucket beside its key; another one is another bucket. It tells rate and burst, so that a changed limit starts anew. */
  readonly version: string
  /** > 0, up to 1,000,000; fractions allowed. */
  readonly requestsPerSecond: number
  /** Tokens; integer from 1 to 1,000,000. */
  readonly burstRequests: number
  /** Tokens a request takes; integer from 1 to `burstRequests`. */
  readonly cost: number
  /** When the authority can't be asked: nothing is admitted, R / maxNodes on each node by itself, or everything. */
  readonly onStoreFailure: 'deny' | 'local' | 'allow'
  readonly maxNodes: number
  /** Charged and counted, denies nothing. */
  readonly isShadow: boolean
}

/** How a shared limit is leased; see LIMITER.md. */
export type LeasePlan = {
  /** How long tokens are good for, counted from the moment they are asked for; 0: direct mode, one grant a request. */
  readonly leaseMs: number
  /** What is fetched ahead lasts so long at the rate of late. */
  readonly horizonMs: number
  /** Pause after the authority had too little. */
  readonly pollMs: number
  /** Of the bucket at the authority: the burst less what leases can hold back for later. */
  readonly capacity: number
}

/**
 * A lease is used up to L after it was debited, so R·L of the burst is kept back: admitted(t1, t2] is at most what was
 * granted in (t1 − L, t2], which is Bc + R·(t2 − t1 + L) = B + R·(t2 − t1).
 */
export function leasePlanOf(requestsPerSecond: number, burstRequests: number, cost: number): LeasePlan {
  const leaseMs = Math.min(1000, Math.max(20, 250 * burstRequests / requestsPerSecond))
  const pollMs = Math.max(10, 1000 / requestsPerSecond)
  const capacity = burstRequests - requestsPerSecond * leaseMs / 1000
  if (capacity < Math.max(1, cost, requestsPerSecond * 2 * pollMs / 1000)) return { leaseMs: 0, horizonMs: 0, pollMs, capacity: burstRequests }
  return { leaseMs, horizonMs: 0.3 * leaseMs, pollMs, capacity }
}
