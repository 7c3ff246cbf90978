import type { Authority } from './authority.ts'
import type { ConcurrencyTable } from './concurrency-table.ts'
import { LeaseEngine } from './lease-engine.ts'
import { LeasedLimiter } from './leased-limiter.ts'
import type { LimitSettings } from './limit-settings.ts'
import type { LimitTable } from './limit-table.ts'
import { EmbeddedLimiter, type Limiter, type OnShadowDenial } from './limiter.ts'

export type LimitServiceOptions = {
  readonly table: LimitTable
  readonly concurrency: ConcurrencyTable
  /** What all nodes share; null: limits are of this process alone. */
  readonly authority: Authority | null
  /** A shadow limit would have denied a request. */
  readonly onShadowDenial: (routeId: string, limitName: string) => void
}

/** Limits as one worker has them: made once a worker, for all its runtimes. */
export class LimitService {
  readonly concurrency: ConcurrencyTable
  readonly onShadowDenial: (routeId: string, limitName: string) => void
  readonly #table: LimitTable
  readonly #engine: LeaseEngine | null

  constructor({ table, concurrency, authority, onShadowDenial }: LimitServiceOptions) {
    this.#table = table
    this.concurrency = concurrency
    this.onShadowDenial = onShadowDenial
    this.#engine = authority === null ? null : new LeaseEngine({ table, authority })
  }

  limiterOf(limits: readonly LimitSettings[], onShadowDenial: OnShadowDenial): Limiter {
    return this.#engine === null ? new EmbeddedLimiter(this.#table, limits, onShadowDenial)
      : new LeasedLimiter(this.#table, this.#engine, limits, onShadowDenial)
  }
}
