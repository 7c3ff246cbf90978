import type { Pool } from './pool.ts'

/** Where an endpoint is, as the document says it. */
export type EndpointAddress = {
  readonly url: string
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  readonly weight: number
}

export function parseEndpoint(config: string | { readonly url: string; readonly weight: number }): EndpointAddress {
  const { url, weight } = typeof config === 'string' ? { url: config, weight: 1 } : config
  const parsed = new URL(url)
  const isTls = parsed.protocol === 'https:'
  return {
    url: parsed.origin,
    isTls,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port),
    weight,
  }
}

/** One host:port of an upstream, with what the balancer wants to know of it. */
export class Endpoint {
  readonly address: EndpointAddress
  /** Value of Host for requests to it. */
  readonly hostHeader: string
  readonly pool: Pool
  /** Requests that are with this endpoint, waiting ones included. */
  inFlight = 0

  constructor(address: EndpointAddress, createPool: (endpoint: Endpoint) => Pool) {
    this.address = address
    this.hostHeader = new URL(address.url).host
    this.pool = createPool(this)
  }
}
