import { nowMs } from '../base/clock.ts'
import { Failure } from '../base/failure.ts'
import { TimerEntry, type TimerWheel } from '../base/timer-wheel.ts'
import type { UpstreamConfig } from '../config/schema.ts'
import type { EndpointTable } from '../protocol/endpoint-table.ts'
import type { UpstreamEvent } from '../protocol/messages.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import type { BalanceRequest, Balancer } from './balancer.ts'
import { createBalancer } from './balancers/create-balancer.ts'
import type { Call } from './call.ts'
import { CircuitBreaker } from './circuit-breaker.ts'
import { Endpoint, parseEndpoint } from './endpoint.ts'
import { chooseCandidates, type SetOptions } from './endpoint-set.ts'
import { mayEject, OutlierDetector } from './outlier.ts'
import { Pool, type PoolOwner } from './pool.ts'
import { RetryBudget } from './retry-budget.ts'
import { UpstreamSettings } from './upstream-settings.ts'

export type UpstreamDeps = {
  readonly wheel: TimerWheel
  /** Content of certificates by name. */
  readonly files: Readonly<Record<string, string>>
  /** Of this gateway; null: unknown. */
  readonly zone: string | null
  readonly onEvent: (event: UpstreamEvent, upstream: string, details: Readonly<Record<string, string | number>>) => void
}

/** What a failure counts as, so that an endpoint that fails fast looks slow: it would draw all traffic otherwise. */
const PENALTY_MS = 1000
/** Failures before anything was asked of an endpoint: they tell nothing about it. */
const NOT_ITS_FAULT = new Set([
  'GW_UPSTREAM_PENDING_FULL', 'GW_UPSTREAM_PENDING_TIMEOUT', 'GW_UPSTREAM_IN_FLIGHT_FULL', 'GW_UPSTREAM_BREAKER_OPEN', 'GW_UPSTREAM_LIMITED',
])

/** A named group of endpoints, as one worker sees it. Opens no connection before the first request. */
export class Upstream extends TimerEntry implements PoolOwner {
  readonly name: string
  readonly preserveHost: boolean
  readonly settings: UpstreamSettings
  readonly wheel: TimerWheel
  readonly budget: RetryBudget
  readonly #config: UpstreamConfig
  readonly #options: SetOptions
  readonly #onEvent: UpstreamDeps['onEvent']
  readonly #breaker: CircuitBreaker | null
  readonly #adaptive: AdaptiveLimit | null
  #endpoints: readonly Endpoint[] = []
  /** Of endpoints that are gone, and still finish what they have. */
  #leaving: readonly Pool[] = []
  /** null: no endpoint at all. */
  #balancer: Balancer | null = null
  #isPanic = false
  #isDestroyed = false
  pendingCount = 0
  #inFlight = 0

  constructor(name: string, config: UpstreamConfig, table: EndpointTable, deps: UpstreamDeps) {
    super()
    this.name = name
    this.preserveHost = config.preserveHost
    this.settings = new UpstreamSettings(config, deps.files)
    this.wheel = deps.wheel
    this.budget = new RetryBudget(config.retries.budgetRatio)
    this.#config = config
    this.#options = { panicRatio: config.panicRatio, slowStartMs: config.slowStartMs, zone: deps.zone }
    this.#onEvent = deps.onEvent
    const { breaker } = config
    this.#breaker = breaker.failureRatio === null ? null : new CircuitBreaker({ ...breaker, failureRatio: breaker.failureRatio })
    this.#adaptive = breaker.adaptive === null ? null : new AdaptiveLimit(breaker.adaptive)
    this.apply(table)
  }

  get endpoints(): readonly Endpoint[] {
    return this.#endpoints
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Takes over what the primary knows. Endpoints that stay keep their connections; those that are gone finish what they have. */
  apply(table: EndpointTable): void {
    const now = nowMs()
    const known = new Map(this.#endpoints.map(endpoint => [endpoint.address.url, endpoint]))
    const unhealthy = new Set(table.unhealthy)
    const isFirst = this.#endpoints.length === 0
    this.#endpoints = table.endpoints.map(item => {
      const address = parseEndpoint(item)
      let endpoint = known.get(address.url)
      known.delete(address.url)
      if (endpoint === undefined || endpoint.address.name !== address.name) {
        if (endpoint !== undefined) this.#retire(endpoint)
        const { outlier } = this.#config
        endpoint = new Endpoint(address, at => new Pool(at, this), outlier === null ? null : new OutlierDetector(outlier))
        // The first ones share all there is; whoever joins them later starts slowly.
        if (!isFirst) endpoint.recoveredAtMs = now
      } else endpoint.address = address
      const isHealthy = !unhealthy.has(address.url)
      if (isHealthy && !endpoint.isHealthy) bringBack(endpoint, now)
      endpoint.isHealthy = isHealthy
      return endpoint
    })
    for (const gone of known.values()) this.#retire(gone)
    this.#choose(now)
  }

  /** The endpoint for the next try; null when there is none at all. */
  pick(request: BalanceRequest, tried: readonly Endpoint[]): Endpoint | null {
    return this.#balancer === null ? null : this.#balancer.pick(request, tried)
  }

  /** The value of Set-Cookie that keeps the client on `endpoint`; null without need for one. */
  cookieFor(request: BalanceRequest, endpoint: Endpoint): string | null {
    return this.#balancer?.cookieFor?.(request, endpoint) ?? null
  }

  /** Whether `cookieFor` may answer something. */
  get setsCookies(): boolean {
    return this.#balancer?.cookieFor !== undefined
  }

  /** Sends `call` to `endpoint`. Its listener gets every outcome, possibly before this returns. */
  send(call: Call, endpoint: Endpoint, now: number): void {
    call.endpoint = endpoint
    call.startMs = now
    this.#inFlight++
    endpoint.inFlight++
    if (this.#inFlight > this.settings.maxInFlight) endpoint.pool.fail(call, new Failure('GW_UPSTREAM_IN_FLIGHT_FULL'))
    else if (this.#adaptive !== null && this.#inFlight > this.#adaptive.limit) endpoint.pool.fail(call, new Failure('GW_UPSTREAM_LIMITED'))
    else if (this.#breaker !== null && !this.#acquire(call, now)) endpoint.pool.fail(call, new Failure('GW_UPSTREAM_BREAKER_OPEN', null, this.#breaker.retryAfterMs(now)))
    else endpoint.pool.dispatch(call)
  }

  onHead(call: Call, status: number): void {
    const now = call.headAtMs = nowMs()
    call.endpoint!.unanswered = 0
    this.#record(call, status >= 502 && status <= 504, now)
  }

  onCallEnd(call: Call, failure: Failure | null): void {
    const inFlight = this.#inFlight--
    call.endpoint!.inFlight--
    // A connection closed while it was idle is nobody's fault.
    const isStale = call.isOnReused && !call.hasResponse && failure?.retry === 'ifReused'
    if (failure !== null && !isStale && failure.origin === 'upstream' && !NOT_ITS_FAULT.has(failure.code)) this.#record(call, true, nowMs(), inFlight)
    else if (!call.isRecorded) {
      if (failure === null && call.isSent) this.#noteWait(call, nowMs())
      if (this.#breaker !== null) this.#release(call)
    }
  }

  /** What is under way is finished, and then its connections close. */
  destroy(): void {
    this.#isDestroyed = true
    this.wheel.cancel(this)
    for (const endpoint of this.#endpoints) endpoint.pool.destroy()
  }

  /** Nothing is left when it returns. */
  abort(): void {
    this.destroy()
    for (const pool of [...this.#endpoints.map(endpoint => endpoint.pool), ...this.#leaving]) pool.abort()
  }

  /** An ejection has ended, or a slow start goes on. */
  override onTimeout(): void {
    const now = nowMs()
    for (const endpoint of this.#endpoints) {
      if (endpoint.ejectedUntilMs > 0 && endpoint.ejectedUntilMs <= now && endpoint.ejectedUntilMs > endpoint.recoveredAtMs) bringBack(endpoint, now)
    }
    this.#choose(now)
  }

  #record(call: Call, isFailure: boolean, now: number, inFlight = this.#inFlight): void {
    const endpoint = call.endpoint!
    const latencyMs = now - call.startMs
    endpoint.latency.observe(isFailure ? Math.max(latencyMs, PENALTY_MS) : latencyMs, now, isFailure)
    call.isRecorded = true
    if (endpoint.outlier !== null) {
      const reason = endpoint.outlier.record(isFailure, now)
      if (reason !== null) this.#eject(endpoint, reason, now)
    }
    this.#adaptive?.record(latencyMs, inFlight, isFailure, now)
    if (this.#breaker !== null) this.#settle(call, isFailure, now)
  }

  /**
   * One that was given up without an answer (a hedge was faster, the client left) would have taken longer; nobody knows
   * how much, but several in a row tell of an endpoint that answers nobody.
   */
  #noteWait({ endpoint, startMs }: Call, now: number): void {
    const waitMs = Math.max(now - startMs, Math.min(PENALTY_MS, (now - startMs) * 2 ** endpoint!.unanswered++))
    if (waitMs > endpoint!.latency.value(now)) endpoint!.latency.observe(waitMs, now, true)
  }

  #eject(endpoint: Endpoint, reason: string, now: number): void {
    const ejected = this.#endpoints.filter(other => other.ejectedUntilMs > now)
    if (ejected.includes(endpoint) || !mayEject(this.#endpoints.length, ejected.length, this.#config.outlier!.maxEjectedRatio)) return
    const untilMs = endpoint.outlier!.eject(now)
    this.#onEvent('endpointEjected', this.name, { endpoint: endpoint.address.url, reason, forMs: Math.round(untilMs - now) })
    this.#choose(now)
  }

  #retire(endpoint: Endpoint): void {
    endpoint.pool.destroy()
    this.#leaving = [...this.#leaving.filter(pool => pool.connectionCount > 0), endpoint.pool]
  }

  #choose(now: number): void {
    const { candidates, isPanic, validUntilMs } = chooseCandidates(this.#endpoints, this.#options, now)
    this.#balancer = candidates.length === 0 ? null : createBalancer(this.#config.balance, candidates, { random: Math.random, nowMs })
    if (isPanic && !this.#isPanic) this.#onEvent('panic', this.name, { endpoints: this.#endpoints.length })
    this.#isPanic = isPanic
    if (validUntilMs === Infinity || this.#isDestroyed) this.wheel.cancel(this)
    else this.wheel.schedule(this, validUntilMs)
  }

  #acquire(call: Call, now: number): boolean {
    call.breakerTicket = this.#breaker!.tryAcquire(now)
    return call.breakerTicket !== 0
  }

  #settle(call: Call, isFailure: boolean, now: number): void {
    const state = this.#breaker!.record(call.breakerTicket, isFailure, now)
    if (state !== null) this.#onEvent('breakerChanged', this.name, { state })
  }

  #release(call: Call): void {
    this.#breaker!.cancel(call.breakerTicket)
  }
}

/** As if it had never been slow or failed; its share comes back little by little. */
function bringBack(endpoint: Endpoint, now: number): void {
  endpoint.latency.reset()
  endpoint.outlier?.reset()
  endpoint.recoveredAtMs = now
}
