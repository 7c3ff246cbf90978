import type { Authority, GrantReply, GrantRequest } from './authority.ts'
import type { LeasedBucket, LeasePlace, LeaseReceipt } from './leased-bucket.ts'
import type { LimitTable } from './limit-table.ts'

/** A request that waits for tokens is told within this: then the authority counts as not answering. */
export const WAIT_MS = 10
/** Of one worker. */
const MAX_WAITERS = 10_000
/** How long an authority that failed is not asked; requests go by `onStoreFailure` at once. */
export const AWAY_MS = 250
/** How often waiters look whether another thread has fetched what they wait for. */
const POLL_MS = 1
/** A batch is one script call: a longer one would hold up the store for everybody. */
const MAX_BATCH = 256

/** `unavailable`: the authority did not answer; nothing was taken. */
export type AskOutcome = {
  readonly answer: 'admitted' | 'denied' | 'unavailable'
  readonly remaining: number
  readonly retryAfterMs: number
  /** Of what was admitted from a lease. */
  readonly receipt: LeaseReceipt | null
}

type Waiter = { readonly deadlineMs: number; readonly resolve: (outcome: AskOutcome) => void }

/** What one worker wants of one bucket. */
type Ask = {
  readonly bucket: LeasedBucket
  readonly place: LeasePlace
  /** The line it had at first: its key in the map. */
  readonly firstLine: number
  readonly key: string
  readonly waiters: Waiter[]
  /** What tells one question from the next; 0: none is under way. */
  asking: number
  askingUntilMs: number
  isQueued: boolean
}

type Sent = { readonly ask: Ask; readonly asking: number; readonly want: number }

export type LeaseEngineOptions = {
  readonly table: LimitTable
  readonly authority: Authority
  /** Runs `send` once this turn of the loop is over, so that what its requests want goes out in one call. */
  readonly atEndOfTurn?: (send: () => void) => void
  readonly startTimer?: (ms: number, run: () => void) => void
}

const UNAVAILABLE: AskOutcome = { answer: 'unavailable', remaining: 0, retryAfterMs: 1000, receipt: null }

/**
 * Fetches tokens for one worker: ahead of the demand where it can, and for requests that wait where it has to. Of all
 * threads one asks for a bucket at a time; the others look every millisecond what it brought.
 *
 * A reply that comes later than L after its question was sent is thrown away: its tokens are no longer good.
 */
export class LeaseEngine {
  readonly #table: LimitTable
  readonly #authority: Authority
  readonly #atEndOfTurn: (send: () => void) => void
  readonly #startTimer: (ms: number, run: () => void) => void
  /** By line; only what is under way or waited for. */
  readonly #asks = new Map<number, Ask>()
  #batch: Ask[] = []
  #waiterCount = 0
  #isPolling = false
  #awayUntilMs = -Infinity
  #directSerial = 0
  /** Moving average. */
  #replyMs = 0

  constructor({ table, authority, atEndOfTurn, startTimer }: LeaseEngineOptions) {
    this.#table = table
    this.#authority = authority
    this.#atEndOfTurn = atEndOfTurn ?? (send => { setImmediate(send) })
    this.#startTimer = startTimer ?? ((ms, run) => {
      // After what has come in: a reply that waits behind a busy turn of the loop is in time.
      setTimeout(() => { setImmediate(run) }, ms)
    })
  }

  get waiterCount(): number {
    return this.#waiterCount
  }

  /** Buckets that something is under way for; they are forgotten when it is over. */
  get askCount(): number {
    return this.#asks.size
  }

  /** For the `ask` that `bucket` just answered. */
  wait(bucket: LeasedBucket, key: string, nowMs: number): AskOutcome | Promise<AskOutcome> {
    if (nowMs < this.#awayUntilMs || this.#waiterCount >= MAX_WAITERS) return UNAVAILABLE
    const ask = this.#askOf(bucket, key)
    this.#waiterCount++
    return new Promise(resolve => {
      ask.waiters.push({ deadlineMs: nowMs + WAIT_MS, resolve })
      this.#begin(ask, nowMs)
      this.#poll()
    })
  }

  /** For the admission that `bucket` just made and that left little. */
  refill(bucket: LeasedBucket, key: string, nowMs: number): void {
    const { slots, place: { line } } = bucket
    if (nowMs < this.#awayUntilMs || slots.isAsking(line, nowMs) || slots.isDenied(line, nowMs)) return
    this.#begin(this.#askOf(bucket, key), nowMs)
  }

  #askOf(bucket: LeasedBucket, key: string): Ask {
    const { place } = bucket
    const known = this.#asks.get(place.line)
    if (known !== undefined && known.place.low === place.low && known.place.high === place.high) return known
    const ask: Ask = { bucket, place, firstLine: place.line, key, waiters: [], asking: 0, askingUntilMs: 0, isQueued: false }
    // Its slot is another key's now, and so is its place in the map.
    if (known !== undefined) this.#end(known.waiters, UNAVAILABLE)
    this.#asks.set(place.line, ask)
    return ask
  }

  #begin(ask: Ask, nowMs: number): void {
    if (ask.isQueued || (ask.asking !== 0 && nowMs < ask.askingUntilMs)) return
    const holdMs = holdMsOf(ask.bucket)
    // In direct mode a grant is for its own requests, so threads need not wait for each other.
    const asking = isDirect(ask.bucket) ? ++this.#directSerial : ask.bucket.slots.beginAsking(ask.place.line, nowMs, holdMs)
    if (asking === 0) {
      if (ask.waiters.length === 0) this.#forget(ask)
      return
    }
    ask.asking = asking
    ask.askingUntilMs = nowMs + holdMs
    ask.isQueued = true
    if (this.#batch.length === 0) this.#atEndOfTurn(() => this.#send())
    this.#batch.push(ask)
  }

  #send(): void {
    const nowMs = this.#table.nowMs()
    const batch = this.#batch
    this.#batch = []
    let sent: Sent[] = []
    let requests: GrantRequest[] = []
    for (const ask of batch) {
      ask.isQueued = false
      const request = this.#requestOf(ask, nowMs)
      if (request === null) {
        this.#release(ask, ask.asking)
        continue
      }
      ask.askingUntilMs = nowMs + holdMsOf(ask.bucket)
      sent.push({ ask, asking: ask.asking, want: request.want })
      requests.push(request)
      if (requests.length < MAX_BATCH) continue
      this.#call(sent, requests, nowMs)
      sent = []
      requests = []
    }
    if (requests.length > 0) this.#call(sent, requests, nowMs)
  }

  #requestOf({ bucket, place, key, waiters }: Ask, nowMs: number): GrantRequest | null {
    const { plan, settings, slots } = bucket
    const waiting = waiters.length * settings.cost
    const ahead = isDirect(bucket) ? 0 : slots.expect(place.line, nowMs, plan.horizonMs, this.#replyMs) - slots.tokensOf(place.line, nowMs)
    const least = waiting > 0 ? settings.cost : 1
    const want = Math.min(Math.floor(plan.capacity), Math.max(waiting + ahead, waiting > 0 ? settings.cost : 0))
    if (want < least) return null
    return { bucket: bucket.idOf(key), requestsPerSecond: settings.requestsPerSecond, capacity: plan.capacity, want, atLeast: least, leaseMs: plan.leaseMs }
  }

  #call(sent: readonly Sent[], requests: readonly GrantRequest[], sentMs: number): void {
    // Also what is thrown at once is a failure of the store: the requests that wait must not hang on it.
    new Promise<readonly GrantReply[]>(resolve => resolve(this.#authority.grant(requests))).then(
      replies => this.#onReplies(sent, replies, sentMs),
      () => this.#onFailure(sent),
    )
  }

  #onReplies(sent: readonly Sent[], replies: readonly GrantReply[], sentMs: number): void {
    if (replies.length !== sent.length) return this.#onFailure(sent)
    const nowMs = this.#table.nowMs()
    let isLate = false
    this.#replyMs += (nowMs - sentMs - this.#replyMs) / 8
    sent.forEach(({ ask, asking, want }, index) => {
      const { granted, remaining, retryAfterMs } = replies[index]!
      const { bucket, place } = ask
      const { plan, slots } = bucket
      if (nowMs - sentMs >= goodForMs(bucket)) {
        isLate = true
        return this.#release(ask, asking)
      }
      const isHeld = this.#table.holds(place.line, place.low, place.high)
      if (isHeld) {
        slots.setLeft(place.line, remaining)
        if (granted < want) this.#markDenied(ask, granted, remaining, retryAfterMs, nowMs)
      }
      if (isDirect(bucket)) this.#hand(ask, granted, granted < want, remaining, retryAfterMs)
      else if (granted > 0 && isHeld) slots.install(place.line, place.low, place.high, granted, sentMs, plan.leaseMs, plan.horizonMs, nowMs)
      this.#release(ask, asking)
      if (ask.waiters.length > 0) this.#drain(ask, nowMs)
    })
    if (!isLate) this.#awayUntilMs = -Infinity
  }

  /** For how long it is no use to ask again, and when a client that waits has its tokens. */
  #markDenied({ bucket, place }: Ask, granted: number, remaining: number, retryAfterMs: number, nowMs: number): void {
    const { plan, settings, slots } = bucket
    const isEmpty = granted === 0 && remaining < settings.cost
    if (isDirect(bucket)) {
      // Believed for a second at most: the bucket may have been made anew.
      if (isEmpty) slots.markDenied(place.line, nowMs + Math.min(retryAfterMs, 1000), nowMs + retryAfterMs)
      return
    }
    // What the authority had went to this node or to another one: then its word is that of a moment.
    const pauseMs = isEmpty ? Math.min(plan.pollMs, Math.max(10, retryAfterMs)) : plan.pollMs
    slots.markDenied(place.line, nowMs + pauseMs, nowMs + Math.max(pauseMs, retryAfterMs))
  }

  /** Direct mode: what was granted is for those who wait, and for nobody else. */
  #hand(ask: Ask, granted: number, isShort: boolean, remaining: number, retryAfterMs: number): void {
    const { cost } = ask.bucket.settings
    let left = granted
    while (ask.waiters.length > 0 && left >= cost) {
      left -= cost
      this.#end([ask.waiters.shift()!], { answer: 'admitted', remaining, retryAfterMs: 0, receipt: null })
    }
    if (isShort) this.#end(ask.waiters, { answer: 'denied', remaining, retryAfterMs: Math.max(1, retryAfterMs), receipt: null })
  }

  #onFailure(sent: readonly Sent[]): void {
    this.#awayUntilMs = this.#table.nowMs() + AWAY_MS
    for (const { ask, asking } of sent) {
      this.#end(ask.waiters, UNAVAILABLE)
      this.#release(ask, asking)
    }
  }

  #release(ask: Ask, asking: number): void {
    if (!isDirect(ask.bucket)) ask.bucket.slots.endAsking(ask.place.line, asking)
    if (ask.asking === asking) ask.asking = 0
    if (ask.waiters.length === 0 && ask.asking === 0) this.#forget(ask)
  }

  /** First come, first served, as far as the tokens go. */
  #drain(ask: Ask, nowMs: number): void {
    const { bucket, waiters } = ask
    while (waiters.length > 0) {
      const answer = bucket.takeAt(ask.place, nowMs)
      if (answer === 'ask') {
        if (waiters[0]!.deadlineMs > nowMs) {
          this.#begin(ask, nowMs)
          return
        }
        // The authority was too slow for one; the next ones need not find out by themselves.
        this.#awayUntilMs = nowMs + AWAY_MS
        this.#end([waiters.shift()!], UNAVAILABLE)
        continue
      }
      const { remaining, retryAfterMs } = bucket
      const receipt = answer === 'admitted' ? { ...ask.place, generation: bucket.slots.generation } : null
      this.#end([waiters.shift()!], { answer, remaining, retryAfterMs, receipt })
    }
    if (ask.asking === 0) this.#forget(ask)
  }

  #poll(): void {
    if (this.#isPolling || this.#waiterCount === 0) return
    this.#isPolling = true
    this.#startTimer(POLL_MS, () => {
      this.#isPolling = false
      const nowMs = this.#table.nowMs()
      for (const ask of [...this.#asks.values()]) {
        if (ask.asking !== 0 && nowMs >= ask.askingUntilMs) this.#release(ask, ask.asking)
        if (ask.waiters.length > 0) this.#drain(ask, nowMs)
      }
      this.#poll()
    })
  }

  #end(waiters: Waiter[], outcome: AskOutcome): void {
    this.#waiterCount -= waiters.length
    for (const { resolve } of waiters.splice(0)) resolve(outcome)
  }

  #forget(ask: Ask): void {
    if (this.#asks.get(ask.firstLine) === ask) this.#asks.delete(ask.firstLine)
  }
}

const isDirect = (bucket: LeasedBucket): boolean => bucket.plan.leaseMs === 0

/** How long after its question a reply is of use: as long as its tokens, or as those who asked may wait. */
const goodForMs = (bucket: LeasedBucket): number => (isDirect(bucket) ? WAIT_MS : bucket.plan.leaseMs)

const holdMsOf = (bucket: LeasedBucket): number => Math.max(goodForMs(bucket), WAIT_MS)
