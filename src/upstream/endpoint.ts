import { PeakEwma } from '../base/peak-ewma.ts'
import type { TableEndpoint } from '../protocol/endpoint-table.ts'
import type { OutlierDetector } from './outlier.ts'
import type { Pool } from './pool.ts'

/** Where an endpoint is, as the document or discovery says it. */
export type EndpointAddress = {
  readonly url: string
  readonly isTls: boolean
  readonly host: string
  readonly port: number
  readonly weight: number
  /** 0 serves; 1 and above are backups. */
  readonly priority: number
  readonly zone: string | null
  /** What stands in Host and in the TLS handshake, where `host` is an address that a name resolved to; else null. */
  readonly name: string | null
}

export type EndpointInput = string | TableEndpoint

export function parseEndpoint(config: EndpointInput): EndpointAddress {
  const { url, weight = 1, priority = 0, zone = null, name = null } = typeof config === 'string' ? { url: config } : config
  const parsed = new URL(url)
  const isTls = parsed.protocol === 'https:'
  return {
    url: parsed.origin,
    isTls,
    host: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (isTls ? 443 : 80) : Number(parsed.port),
    weight,
    priority,
    zone,
    name,
  }
}

/** One host:port of an upstream, with what the balancer wants to know of it. */
export class Endpoint {
  /** Replaced when a table gives it another weight, priority or zone; never another place. */
  address: EndpointAddress
  /** Value of Host for requests to it. */
  readonly hostHeader: string
  readonly pool: Pool
  /** Requests that are with this endpoint, waiting ones included. */
  inFlight = 0
  /** Until the response head, in milliseconds; failures count as a long one. */
  readonly latency = new PeakEwma()
  /** Requests in a row that were given up before it answered. */
  unanswered = 0
  /** null: nothing that it does ejects it. */
  readonly outlier: OutlierDetector | null
  /** By the probes of the primary. */
  isHealthy = true
  /** When it came back, or came; then it starts slowly. */
  recoveredAtMs = -Infinity

  constructor(address: EndpointAddress, createPool: (endpoint: Endpoint) => Pool, outlier: OutlierDetector | null = null) {
    this.address = address
    const { host } = new URL(address.url)
    this.hostHeader = address.name === null ? host : host.replace(/^(?:\[[^\]]*\]|[^:]*)/, address.name)
    this.pool = createPool(this)
    this.outlier = outlier
  }

  get ejectedUntilMs(): number {
    return this.outlier === null ? 0 : this.outlier.ejectedUntilMs
  }

  isAvailable(nowMs: number): boolean {
    return this.isHealthy && this.ejectedUntilMs <= nowMs
  }
}
