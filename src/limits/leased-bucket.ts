import { createHash } from 'node:crypto'
import { HASH, hashKey } from './keyed-hash.ts'
import { LeaseSlots } from './lease-slot.ts'
import { type LeasePlan, leasePlanOf, type LimitSettings } from './limit-settings.ts'
import type { LimitTable } from './limit-table.ts'
import { BUSY_MS } from './token-bucket.ts'

/** `ask`: the node has too little, and the authority may have more. */
export type LeaseAnswer = 'admitted' | 'denied' | 'ask'

/** Where a request of one key stands: a slot that is checked again at each use, since it may be lost at any time. */
export type LeasePlace = { line: number; readonly low: number; readonly high: number }

/** What giving tokens back needs to know. */
export type LeaseReceipt = LeasePlace & { readonly generation: number }

/** The buckets of one shared limit as one worker sees them: what the node has leased of each. */
export class LeasedBucket {
  readonly settings: LimitSettings
  readonly plan: LeasePlan
  readonly slots: LeaseSlots
  /** Of the last answer. */
  remaining = 0
  retryAfterMs = 0
  /** Of the last admission: fewer tokens are left than will be wanted before long. */
  isLow = false
  place: LeasePlace = { line: 0, low: 0, high: 0 }
  readonly #table: LimitTable
  readonly #seed0: number
  readonly #seed1: number

  constructor(table: LimitTable, settings: LimitSettings) {
    this.settings = settings
    this.plan = leasePlanOf(settings.requestsPerSecond, settings.burstRequests, settings.cost)
    this.slots = new LeaseSlots(table)
    this.#table = table
    ;[this.#seed0, this.#seed1] = table.seedsOf(`lease ${settings.version}`)
  }

  /** Until the bucket is full, after the last answer. */
  get fullInMs(): number {
    return Math.max(0, this.settings.burstRequests - this.remaining) * 1000 / this.settings.requestsPerSecond
  }

  /** The name of a bucket at the authority; no key of a client can be read from it. */
  idOf(key: string): string {
    return createHash('sha256').update(this.settings.version).update('\0').update(key).digest('base64url').slice(0, 22)
  }

  take(key: string, nowMs: number): LeaseAnswer {
    hashKey(key, this.#seed0, this.#seed1)
    const low = HASH[0]!
    const high = HASH[1]!
    this.place = { line: this.#table.find(low, high), low, high }
    return this.takeAt(this.place, nowMs)
  }

  takeAt(place: LeasePlace, nowMs: number): LeaseAnswer {
    const { slots } = this
    const { cost } = this.settings
    this.isLow = false
    if (place.line === 0 || !this.#table.holds(place.line, place.low, place.high)) {
      place.line = this.#table.claim(place.low, place.high, 0, nowMs, () => 0)
      if (place.line === 0) return this.#deny(0, BUSY_MS)
    }
    const { line } = place
    const taken = slots.take(line, place.low, place.high, cost, nowMs)
    if (taken === 'taken' || taken === 'low') {
      this.isLow = taken === 'low'
      this.remaining = Math.min(this.settings.burstRequests, slots.remainingOf(line, nowMs))
      this.retryAfterMs = 0
      return 'admitted'
    }
    if (taken === 'gone') return this.#deny(0, BUSY_MS)
    if (!slots.isDenied(line, nowMs)) return 'ask'
    slots.countDenied(line, cost)
    return this.#deny(slots.tokensOf(line, nowMs), Math.max(1, slots.retryAfterMs(line, nowMs)))
  }

  receipt(): LeaseReceipt {
    return { ...this.place, generation: this.slots.generation }
  }

  giveBack({ line, low, high, generation }: LeaseReceipt): void {
    this.slots.giveBack(line, low, high, generation, this.settings.cost)
  }

  #deny(remaining: number, retryAfterMs: number): 'denied' {
    this.remaining = remaining
    this.retryAfterMs = retryAfterMs
    return 'denied'
  }
}
