import { createHmac } from 'node:crypto'
import type { BalanceConfig, Balancer, BalanceRequest, BalancerDeps, Candidate } from '../balancer.ts'
import type { Endpoint } from '../endpoint.ts'
import { PeakEwmaBalancer } from './peak-ewma.ts'

export type StickyConfig = Extract<BalanceConfig, { sticky: unknown }>['sticky']

/** 128 bits can't be guessed, and the header stays short. */
const VALUE_BYTES = 16

/**
 * A cookie keeps a client on its endpoint. Its value is made of the endpoint's URL with the secret: it tells no address,
 * nobody else can make one, and the same endpoint has the same one in all upstreams, workers and nodes. A client without
 * one, or whose endpoint is gone or was tried, gets the choice of `peak-ewma`.
 */
export class Sticky implements Balancer {
  readonly #key: string
  readonly #fallback: Balancer
  readonly #endpointOf = new Map<string, Endpoint>()
  readonly #valueOf = new Map<Endpoint, string>()
  readonly #name: string
  readonly #attributes: string

  constructor({ cookie, secret, maxAgeSeconds }: StickyConfig, candidates: readonly Candidate[], deps: BalancerDeps) {
    this.#key = `cookie:${cookie}`
    this.#name = cookie
    this.#attributes = `; Path=/; HttpOnly; SameSite=Lax${maxAgeSeconds === null ? '' : `; Max-Age=${maxAgeSeconds}`}${secureFor(cookie)}`
    this.#fallback = new PeakEwmaBalancer(candidates, deps)
    for (const { endpoint } of candidates) {
      const value = createHmac('sha256', secret).update(endpoint.address.url).digest().subarray(0, VALUE_BYTES).toString('base64url')
      this.#endpointOf.set(value, endpoint)
      this.#valueOf.set(endpoint, value)
    }
  }

  pick(request: BalanceRequest, tried: readonly Endpoint[]): Endpoint {
    const value = request.keyValue(this.#key)
    if (value !== undefined) {
      const endpoint = this.#endpointOf.get(value)
      if (endpoint !== undefined && (tried.length === 0 || !tried.includes(endpoint))) return endpoint
    }
    return this.#fallback.pick(request, tried)
  }

  /** Also null for an endpoint that has gone while it answered: the client would come back for it in vain. */
  cookieFor(request: BalanceRequest, endpoint: Endpoint): string | null {
    const value = this.#valueOf.get(endpoint)
    if (value === undefined || request.keyValue(this.#key) === value) return null
    return `${this.#name}=${value}${this.#attributes}`
  }
}

/**
 * Not otherwise: the gateway may serve plain HTTP, where a browser would drop such a cookie, and whoever reads it learns
 * and gains nothing. With these names browsers take no other.
 */
function secureFor(name: string): string {
  return /^__(?:secure|host)-/i.test(name) ? '; Secure' : ''
}
