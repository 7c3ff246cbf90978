import type { EndpointAddress } from '../../upstream/endpoint.ts'
import { type HealthConfig, probeHttp } from './http-probe.ts'
import { type CancelProbe, type OnProbeEnd, problemOf, probeTcp, type TlsOptions } from './tcp-probe.ts'

export interface ProberEvents {
  /** `reason`: of the last probe, `ok` or what was wrong with it: `status 503`, `timeout`, `ECONNREFUSED`. */
  onTransition(url: string, isHealthy: boolean, reason: string): void
}

/** `random`: 0 <= x < 1. */
export type ProberDeps = { readonly random: () => number }

/** A wait is so much longer or shorter, so that endpoints that started together don't stay together. */
const JITTER_RATIO = 0.1
/** Up to 100 endpoints that are new together are first probed within a tenth of the interval; 1,000 take the whole. */
const STARTS_PER_INTERVAL = 1000
/** setTimeout takes no more; a longer wait would be none at all. */
const MAX_TIMER_MS = 2_147_483_647

/**
 * Probes the endpoints of one upstream, for all workers: one probe of an endpoint at a time, each on a fresh connection.
 * An endpoint counts as healthy until `unhealthyAfter` probes in a row have failed, and is back after `healthyAfter`
 * successes in a row. Keeps no process alive.
 */
export class Prober {
  readonly #config: HealthConfig
  readonly #tlsOptions: TlsOptions
  readonly #events: ProberEvents
  readonly #random: () => number
  readonly #probed = new Map<string, ProbedEndpoint>()
  #isStopped = false

  constructor(config: HealthConfig, tlsOptions: TlsOptions, events: ProberEvents, deps: ProberDeps) {
    this.#config = config
    this.#tlsOptions = tlsOptions
    this.#events = events
    this.#random = deps.random
  }

  /** From now on these are probed. One that stays, by URL, keeps its state; one that is gone has no event any more. */
  update(endpoints: readonly EndpointAddress[]): void {
    if (this.#isStopped) return
    const wanted = new Map(endpoints.map(address => [address.url, address]))
    for (const [url, probed] of this.#probed) {
      const address = wanted.get(url)
      if (address !== undefined) {
        probed.address = address
        wanted.delete(url)
      } else {
        probed.stop()
        this.#probed.delete(url)
      }
    }
    const windowMs = this.#config.intervalMs * Math.min(1, Math.max(JITTER_RATIO, wanted.size / STARTS_PER_INTERVAL))
    const slotMs = windowMs / wanted.size
    let slot = 0
    for (const [url, address] of wanted) {
      const probed = new ProbedEndpoint(address, this.#config, {
        start: (address, onEnd) => this.#startProbe(address, onEnd),
        onTransition: (isHealthy, reason) => this.#events.onTransition(url, isHealthy, reason),
      }, this.#random)
      this.#probed.set(url, probed)
      probed.plan((slot++ + this.#random()) * slotMs)
    }
  }

  /** Whether it is healthy, by URL. */
  states(): ReadonlyMap<string, boolean> {
    return new Map(Array.from(this.#probed, ([url, { isHealthy }]) => [url, isHealthy]))
  }

  /** For good: probes under way are cut off, and there is no event any more. */
  stop(): void {
    this.#isStopped = true
    for (const probed of this.#probed.values()) probed.stop()
    this.#probed.clear()
  }

  #startProbe(address: EndpointAddress, onEnd: OnProbeEnd): CancelProbe {
    return this.#config.type === 'tcp'
      ? probeTcp(address, this.#tlsOptions, onEnd)
      : probeHttp(address, this.#config, this.#tlsOptions, onEnd)
  }
}

type ProbedEvents = {
  start(address: EndpointAddress, onEnd: OnProbeEnd): CancelProbe
  onTransition(isHealthy: boolean, reason: string): void
}

/** The probes of one endpoint, one after the other, and what they say. */
class ProbedEndpoint {
  address: EndpointAddress
  isHealthy = true
  readonly #config: HealthConfig
  readonly #events: ProbedEvents
  readonly #random: () => number
  /** Results in a row that speak against `isHealthy`. */
  #contrary = 0
  /** Of the wait between two probes, or of the probe under way. */
  #timer: NodeJS.Timeout | null = null
  #cancel: CancelProbe | null = null

  constructor(address: EndpointAddress, config: HealthConfig, events: ProbedEvents, random: () => number) {
    this.address = address
    this.#config = config
    this.#events = events
    this.#random = random
  }

  plan(waitMs: number): void {
    this.#timer = setTimeout(() => this.#probe(), Math.min(waitMs, MAX_TIMER_MS)).unref()
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#cancel?.()
    this.#cancel = null
  }

  #probe(): void {
    this.#timer = setTimeout(() => this.#onEnd('timeout'), this.#config.timeoutMs).unref()
    try {
      this.#cancel = this.#events.start(this.address, problem => this.#onEnd(problem))
    } catch (cause) {
      // A path or host that can't be sent, a certificate that OpenSSL does not take: the primary must outlive it.
      this.#onEnd(problemOf(cause))
    }
  }

  #onEnd(problem: string | null): void {
    this.stop()
    // Before the event: who gets it may stop this.
    this.plan(this.#config.intervalMs * (1 + JITTER_RATIO * (2 * this.#random() - 1)))
    if ((problem === null) === this.isHealthy) {
      this.#contrary = 0
      return
    }
    this.#contrary++
    if (this.#contrary < (this.isHealthy ? this.#config.unhealthyAfter : this.#config.healthyAfter)) return
    this.#contrary = 0
    this.isHealthy = !this.isHealthy
    this.#events.onTransition(this.isHealthy, problem ?? 'ok')
  }
}
