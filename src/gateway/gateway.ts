import { randomBytes } from 'node:crypto'
import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { RemoteAddresses } from '../downstream/remote-addresses.ts'
import type { AccessLog } from '../telemetry/access-log.ts'
import type { ExchangeHost } from './exchange-host.ts'
import { Exchange } from './handle.ts'
import type { Runtime } from './runtime.ts'
import type { LoadSource } from './shedding.ts'

/** The last two digits of request ids, made once. */
const ID_ENDS = Array.from({ length: 36 * 36 }, (_, i) => i.toString(36).padStart(2, '0'))

/** The data plane of one worker: takes requests off the listeners and gives each its exchange. */
export class Gateway implements ExchangeHost {
  readonly wheel: TimerWheel
  readonly accessLog: AccessLog
  readonly load: LoadSource
  readonly #onFault: (cause: unknown) => void
  runtime: Runtime
  /** Responses ask clients to close; the process is about to end. */
  isDraining = false
  openExchanges = 0
  /** Called when the last open exchange of a drain is over. */
  onIdle: (() => void) | null = null
  // Random, so that ids of workers, nodes and restarts differ; then counted, which costs nothing.
  readonly #idPrefix = randomBytes(9).toString('base64url')
  #idBlock = `${this.#idPrefix}-0`
  #idBlockCount = 0
  #idCount = 0

  constructor(runtime: Runtime, deps: { wheel: TimerWheel, accessLog: AccessLog, load: LoadSource, onFault: (cause: unknown) => void }) {
    this.runtime = runtime
    this.wheel = deps.wheel
    this.accessLog = deps.accessLog
    this.load = deps.load
    this.#onFault = deps.onFault
  }

  /** Takes a request off a listener. `request` is gone when it returns. */
  accept(response: HttpResponse, request: HttpRequest, remotes: RemoteAddresses, isTls: boolean): void {
    const exchange = new Exchange(this, response, isTls)
    try {
      exchange.handle(request, remotes)
    } catch (cause) {
      // A fault that one request can trigger must not take the worker, or a client could stop them all.
      exchange.onFault(cause)
    }
  }

  swap(next: Runtime): void {
    const previous = this.runtime
    this.runtime = next
    previous.retire(next)
  }

  /** Ends what it has with upstreams; nothing is served after it. */
  destroy(): void {
    for (const upstream of this.runtime.upstreams.values()) upstream.abort()
  }

  onExchangeStart(): void {
    this.openExchanges++
  }

  onExchangeEnd(): void {
    this.openExchanges--
    if (this.openExchanges === 0) this.onIdle?.()
  }

  onFault(cause: unknown): void {
    this.#onFault(cause)
  }

  nextRequestId(): string {
    if (this.#idCount === ID_ENDS.length) {
      this.#idCount = 0
      this.#idBlock = `${this.#idPrefix}-${(++this.#idBlockCount).toString(36)}`
    }
    return this.#idBlock + ID_ENDS[this.#idCount++]!
  }
}
