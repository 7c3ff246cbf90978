import { type ConnectionOptions, createSecureContext, type SecureContext } from 'node:tls'
import { isIP } from 'node:net'
import type { UpstreamConfig } from '../config/schema.ts'

/** What the pools of one upstream work by: the document's values with certificates read and compiled. */
export class UpstreamSettings {
  readonly maxConnections: number
  readonly pipelining: number
  readonly connectTimeoutMs: number
  readonly headTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly keepAliveMs: number
  readonly maxHeadBytes: number
  readonly maxPending: number
  readonly pendingTimeoutMs: number
  readonly maxInFlight: number
  readonly #tls: UpstreamConfig['tls']
  readonly #files: Readonly<Record<string, string>>
  #context: SecureContext | null = null
  /** The newest session by host: a second handshake costs a round trip less. */
  readonly #sessions = new Map<string, Buffer>()

  constructor(config: UpstreamConfig, files: Readonly<Record<string, string>>) {
    this.maxConnections = config.maxConnections
    this.pipelining = config.pipelining
    this.connectTimeoutMs = config.connectTimeoutMs
    this.headTimeoutMs = Math.min(config.headTimeoutMs, config.retries.perTryTimeoutMs ?? Infinity)
    this.idleTimeoutMs = config.idleTimeoutMs
    this.keepAliveMs = config.keepAliveMs
    this.maxHeadBytes = config.maxHeadBytes
    this.maxPending = config.breaker.maxPending
    this.pendingTimeoutMs = config.breaker.pendingTimeoutMs
    this.maxInFlight = config.breaker.maxInFlight
    this.#tls = config.tls
    this.#files = files
  }

  tls(host: string): ConnectionOptions {
    this.#context ??= createSecureContext({
      minVersion: 'TLSv1.2',
      ...(this.#tls.ca !== null && { ca: this.#files[this.#tls.ca] }),
      ...(this.#tls.cert !== null && { cert: this.#files[this.#tls.cert] }),
      ...(this.#tls.key !== null && { key: this.#files[this.#tls.key] }),
    })
    const name = this.#tls.serverName ?? host
    const session = this.#sessions.get(host)
    return {
      secureContext: this.#context,
      rejectUnauthorized: this.#tls.rejectUnauthorized,
      ALPNProtocols: ['http/1.1'],
      // An address is no server name (RFC 6066 section 3); the certificate is verified against it all the same.
      ...(isIP(name) === 0 && { servername: name }),
      ...(session !== undefined && { session }),
    }
  }

  keepSession(host: string, session: Buffer): void {
    this.#sessions.set(host, session)
  }
}
