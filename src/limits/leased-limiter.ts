import type { AskOutcome, LeaseEngine } from './lease-engine.ts'
import { LeasedBucket, type LeaseReceipt } from './leased-bucket.ts'
import type { LimitSettings } from './limit-settings.ts'
import type { LimitTable } from './limit-table.ts'
import { Decision, indexesOf, type Limiter, type OnShadowDenial } from './limiter.ts'
import { TokenBucket } from './token-bucket.ts'

/** A charge that can be given back. */
type Charge = { readonly bucket: LeasedBucket; readonly receipt: LeaseReceipt }

/**
 * Limits that all nodes share: tokens are leased from an authority. Answers at once while the node has tokens, or knows
 * that there are none; else a request waits up to WAIT_MS.
 *
 * What a denied request took of a lease goes back into it, under its old end: the authority debited it once, and it is
 * used once at most. What was granted in direct mode, or admitted while the authority was away, is lost; so limits in
 * direct mode are charged last.
 */
export class LeasedLimiter implements Limiter {
  readonly #table: LimitTable
  readonly #engine: LeaseEngine
  readonly #limits: readonly LimitSettings[]
  readonly #buckets: readonly LeasedBucket[]
  /** For `onStoreFailure: local`. */
  readonly #locals: readonly (TokenBucket | null)[]
  readonly #real: readonly number[]
  readonly #shadows: readonly number[]
  readonly #onShadowDenial: OnShadowDenial
  readonly #decision: Decision

  constructor(table: LimitTable, engine: LeaseEngine, limits: readonly LimitSettings[], onShadowDenial: OnShadowDenial) {
    this.#table = table
    this.#onShadowDenial = onShadowDenial
    this.#engine = engine
    this.#limits = limits
    this.#buckets = limits.map(limit => new LeasedBucket(table, limit))
    this.#locals = limits.map(limit => (limit.onStoreFailure === 'local' ? new TokenBucket(table, localOf(limit)) : null))
    const isDirect = (index: number): number => (this.#buckets[index]!.plan.leaseMs === 0 ? 1 : 0)
    this.#real = indexesOf(limits, limit => !limit.isShadow).sort((one, other) => isDirect(one) - isDirect(other))
    this.#shadows = indexesOf(limits, limit => limit.isShadow)
    this.#decision = new Decision(limits.length)
  }

  take(keys: readonly string[]): Decision | Promise<Decision> {
    const decision = this.#decision.reset()
    const real = this.#real
    let charges: Charge[] | null = null
    const nowMs = this.#table.nowMs()
    for (let at = 0; at < real.length; at++) {
      const index = real[at]!
      const bucket = this.#buckets[index]!
      const key = keys[index]!
      const answer = bucket.take(key, nowMs)
      if (answer === 'ask') {
        const outcome = this.#engine.wait(bucket, key, nowMs)
        // The keys and the decision at hand are the next request's too.
        if (outcome instanceof Promise) return this.#takeLate(at, outcome, [...keys], charges ?? [], ownCopyOf(decision))
        if (this.#settle(decision, index, key, outcome)) continue
        return this.#refuse(charges)
      }
      if (answer === 'denied') {
        deny(decision, index, bucket)
        return this.#refuse(charges)
      }
      note(decision, index, bucket)
      if (bucket.isLow) this.#engine.refill(bucket, key, nowMs)
      if (real.length > 1) (charges ??= []).push({ bucket, receipt: bucket.receipt() })
    }
    this.#chargeShadows(decision, keys)
    return decision
  }

  async #takeLate(from: number, asked: Promise<AskOutcome>, keys: readonly string[], charges: Charge[], decision: Decision): Promise<Decision> {
    let outcome: AskOutcome | Promise<AskOutcome> | null = asked
    for (let at = from; at < this.#real.length; at++) {
      const index = this.#real[at]!
      const bucket = this.#buckets[index]!
      const key = keys[index]!
      if (outcome === null) {
        const nowMs = this.#table.nowMs()
        const answer = bucket.take(key, nowMs)
        if (answer === 'ask') {
          outcome = this.#engine.wait(bucket, key, nowMs)
        } else {
          const receipt = answer === 'admitted' ? bucket.receipt() : null
          outcome = { answer, remaining: bucket.remaining, retryAfterMs: bucket.retryAfterMs, receipt }
          if (answer === 'admitted' && bucket.isLow) this.#engine.refill(bucket, key, nowMs)
        }
      }
      const settled: AskOutcome = await outcome
      outcome = null
      if (!this.#settle(decision, index, key, settled)) {
        this.#refuse(charges)
        return decision
      }
      if (settled.receipt !== null) charges.push({ bucket, receipt: settled.receipt })
    }
    this.#chargeShadows(decision, keys)
    return decision
  }

  /** Whether the request goes on. */
  #settle(decision: Decision, index: number, key: string, { answer, remaining, retryAfterMs }: AskOutcome): boolean {
    const limit = this.#limits[index]!
    if (answer === 'unavailable') return this.#fallBack(decision, index, key)
    decision.remaining[index] = remaining
    decision.fullInMs[index] = Math.max(0, limit.burstRequests - remaining) * 1000 / limit.requestsPerSecond
    if (answer === 'admitted') return true
    refuseWith(decision, 'denied', index, retryAfterMs)
    return false
  }

  #fallBack(decision: Decision, index: number, key: string): boolean {
    decision.remaining[index] = null
    decision.fullInMs[index] = 0
    const { onStoreFailure } = this.#limits[index]!
    if (onStoreFailure === 'allow') return true
    if (onStoreFailure === 'deny') {
      refuseWith(decision, 'unavailable', index, 1000)
      return false
    }
    const local = this.#locals[index]!
    local.locate(key)
    const isAdmitted = local.charge(this.#table.nowMs())
    decision.remaining[index] = local.remaining
    decision.fullInMs[index] = local.fullInMs
    if (!isAdmitted) refuseWith(decision, 'denied', index, local.retryAfterMs)
    return isAdmitted
  }

  /** The request waits for none of them. */
  #chargeShadows(decision: Decision, keys: readonly string[]): void {
    for (const index of this.#shadows) {
      const bucket = this.#buckets[index]!
      const key = keys[index]!
      const nowMs = this.#table.nowMs()
      const answer = bucket.take(key, nowMs)
      note(decision, index, bucket)
      if (answer === 'denied') {
        this.#onShadowDenial(index)
      } else if (answer === 'ask') {
        const outcome = this.#engine.wait(bucket, key, nowMs)
        // Without an answer it is not known, and not counted.
        if (outcome instanceof Promise) void outcome.then(({ answer }) => { if (answer === 'denied') this.#onShadowDenial(index) })
      } else if (bucket.isLow) {
        this.#engine.refill(bucket, key, nowMs)
      }
    }
  }

  #refuse(charges: readonly Charge[] | null): Decision {
    if (charges !== null) for (const { bucket, receipt } of charges) bucket.giveBack(receipt)
    return this.#decision
  }
}

/** Of one node, when it is on its own. */
function localOf({ version, requestsPerSecond, burstRequests, cost, maxNodes }: LimitSettings) {
  return {
    version: `local ${maxNodes} ${version}`,
    requestsPerSecond: requestsPerSecond / maxNodes,
    // A request that costs more than the share would never pass.
    burstRequests: Math.max(cost, Math.floor(burstRequests / maxNodes)),
    cost,
  }
}

function note(decision: Decision, index: number, bucket: LeasedBucket): void {
  decision.remaining[index] = bucket.remaining
  decision.fullInMs[index] = bucket.fullInMs
}

function deny(decision: Decision, index: number, bucket: LeasedBucket): void {
  note(decision, index, bucket)
  refuseWith(decision, 'denied', index, bucket.retryAfterMs)
}

function refuseWith(decision: Decision, outcome: 'denied' | 'unavailable', index: number, retryAfterMs: number): void {
  decision.outcome = outcome
  decision.deniedBy = index
  decision.retryAfterMs = retryAfterMs
}

function ownCopyOf({ remaining, fullInMs }: Decision): Decision {
  const copy = new Decision(remaining.length)
  remaining.forEach((tokens, index) => { copy.remaining[index] = tokens })
  fullInMs.forEach((ms, index) => { copy.fullInMs[index] = ms })
  return copy
}
