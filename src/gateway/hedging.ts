import { QuantileWindow } from '../base/quantile-window.ts'
import type { RetriesConfig } from './retry.ts'

type HedgeConfig = NonNullable<RetriesConfig['hedge']>

/** A burst of slow answers may use what was saved up before it, to this many requests. */
const MAX_CREDIT = 10
/** A percentile is good for so long: to find it costs a walk over a histogram. */
const KEPT_MS = 250

/**
 * When a request of one route gets a second try beside the first: after a percentile of what the route takes, for at most
 * a share of the requests. Source: Dean and Barroso, "The Tail at Scale".
 */
export class Hedging {
  readonly #config: HedgeConfig
  readonly #latencies = new QuantileWindow()
  #credit = 0
  #usualMs: number | null = null
  #usualUntilMs = 0

  constructor(config: HedgeConfig) {
    this.#config = config
  }

  /** The wait before a second try, in milliseconds; null: none for this request, or too little is known yet. */
  plan(method: string, nowMs: number): number | null {
    this.#credit = Math.min(MAX_CREDIT, this.#credit + this.#config.maxRatio)
    if (method !== 'GET' && method !== 'HEAD') return null
    if (nowMs >= this.#usualUntilMs) {
      this.#usualMs = this.#latencies.quantile(this.#config.percentile, nowMs)
      if (this.#usualMs !== null) this.#usualUntilMs = nowMs + KEPT_MS
    }
    return this.#usualMs === null ? null : Math.max(this.#config.minDelayMs, Math.ceil(this.#usualMs))
  }

  /** Whether the share allows one more now; takes it. */
  take(): boolean {
    if (this.#credit < 1) return false
    this.#credit--
    return true
  }

  observe(latencyMs: number, nowMs: number): void {
    this.#latencies.observe(latencyMs, nowMs)
  }
}
