import { Failure } from '../base/failure.ts'
import type { TimerWheel } from '../base/timer-wheel.ts'
import type { UpstreamConfig } from '../config/schema.ts'
import { type Balancer, createBalancer } from './balancer.ts'
import type { Call } from './call.ts'
import { Endpoint, parseEndpoint } from './endpoint.ts'
import { Pool, type PoolOwner } from './pool.ts'
import { UpstreamSettings } from './upstream-settings.ts'

/** A named group of endpoints, as one worker sees it. Opens no connection before the first request. */
export class Upstream implements PoolOwner {
  readonly name: string
  readonly preserveHost: boolean
  readonly settings: UpstreamSettings
  readonly endpoints: readonly Endpoint[]
  readonly wheel: TimerWheel
  readonly #balancer: Balancer
  pendingCount = 0
  #inFlight = 0

  constructor(name: string, config: UpstreamConfig, files: Readonly<Record<string, string>>, wheel: TimerWheel) {
    this.name = name
    this.preserveHost = config.preserveHost
    this.settings = new UpstreamSettings(config, files)
    this.wheel = wheel
    this.endpoints = config.endpoints.map(item => new Endpoint(parseEndpoint(item), endpoint => new Pool(endpoint, this)))
    this.#balancer = createBalancer(config.balance, this.endpoints, Math.random())
  }

  /** The endpoint for the next call. The head of a request names its host, so it is chosen before the head is made. */
  pick(): Endpoint {
    return this.#balancer.pick()
  }

  /** Sends `call` to `endpoint`. Its listener gets every outcome, possibly before this returns. */
  send(call: Call, endpoint: Endpoint): void {
    call.endpoint = endpoint
    this.#inFlight++
    endpoint.inFlight++
    if (this.#inFlight > this.settings.maxInFlight) endpoint.pool.fail(call, new Failure('GW_UPSTREAM_IN_FLIGHT_FULL'))
    else endpoint.pool.dispatch(call)
  }

  onCallEnd(call: Call): void {
    this.#inFlight--
    call.endpoint!.inFlight--
  }

  destroy(): void {
    for (const endpoint of this.endpoints) endpoint.pool.destroy()
  }
}
