import type { TimerWheel } from '../base/timer-wheel.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { Runtime } from './runtime.ts'
import type { LoadSource } from './shedding.ts'

/** What an exchange needs of the gateway it belongs to. */
export interface ExchangeHost {
  readonly runtime: Runtime
  readonly wheel: TimerWheel
  readonly accessLog: AccessLog
  readonly load: LoadSource
  /** Responses ask clients to close. */
  readonly isDraining: boolean
  nextRequestId(): string
  onFault(cause: unknown): void
  onExchangeStart(): void
  onExchangeEnd(): void
}
