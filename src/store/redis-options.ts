import type { ConnectionOptions } from 'node:tls'
import { isIP } from 'node:net'
import type { RedisOptions } from 'ioredis'
import { parseAddress, type Address } from '../config/address.ts'
import { parseRedisUrl, type RedisUrl } from '../config/redis-url.ts'
import type { RedisConfig } from '../config/schema-redis.ts'
import { QuietSentinels } from './quiet-sentinels.ts'

const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 1000
/** A hung server never answers the end of a connection. */
const DISCONNECT_TIMEOUT_MS = 200
const KEEP_ALIVE_MS = 10_000

/** Without an option whose type ioredis declares in two ways. */
export type ConnectionSettings = Omit<RedisOptions, 'replyMapping'>

/** Where to connect: one server that is known, those that learn it from Sentinels, or nodes of a cluster. */
export type RedisPlace =
  | { readonly kind: 'single'; readonly address: Address; readonly database: number }
  | { readonly kind: 'sentinel'; readonly name: string; readonly nodes: readonly Address[] }
  | { readonly kind: 'cluster'; readonly nodes: readonly Address[] }

/** A checked configuration as the client takes it. Throws where it was not checked. */
export class RedisSettings {
  readonly place: RedisPlace
  readonly keyPrefix: string
  readonly commandTimeoutMs: number
  readonly #config: RedisConfig
  readonly #common: ConnectionSettings
  readonly #retryStrategy: (attempt: number) => number

  /** `files`: content of PEM files by the names in `config.tls`. `random`: 0 to below 1. */
  constructor(config: RedisConfig, files: Readonly<Record<string, string>>, random: () => number = Math.random) {
    const url = config.url === undefined ? null : parseRedisUrl(config.url)
    if (url !== null && 'problem' in url) throw new TypeError(`redis url: ${url.problem}`)
    const tls = config.tls === null && url?.isTls !== true ? null : tlsOptions(config.tls, files)
    this.#retryStrategy = attempt => retryDelayMs(attempt, random)
    this.#config = config
    this.keyPrefix = config.keyPrefix
    this.commandTimeoutMs = config.commandTimeoutMs
    this.place = placeOf(config, url)
    this.#common = {
      // Batches that nobody asked for would be answered, and fail, together.
      enableAutoPipelining: false,
      // A command waits for no connection: it fails, and the caller's policy for that decides.
      enableOfflineQueue: false,
      // LIMITER.md has 1, by which a command is sent again on the next connection. A grant that names the server of the last
      // one must never run on another, so here a lost command is lost.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      // For the handshake, and for connections without a RedisNode.
      commandTimeout: config.commandTimeoutMs * 2,
      connectTimeout: config.connectTimeoutMs,
      disconnectTimeout: DISCONNECT_TIMEOUT_MS,
      keepAlive: KEEP_ALIVE_MS,
      disableClientInfo: true,
      // RedisNode asks INFO itself.
      enableReadyCheck: false,
      lazyConnect: true,
      retryStrategy: this.#retryStrategy,
      connectionName: 'penstock',
      username: config.username ?? url?.username ?? undefined,
      password: config.password ?? url?.password ?? undefined,
      ...(tls !== null && { tls }),
    }
  }

  /** One connection that finds its way back by itself: to the single server, or to the master that the Sentinels name. */
  durable(): ConnectionSettings {
    const { place } = this
    if (place.kind === 'cluster') throw new TypeError('a cluster has no one server')
    if (place.kind === 'single') return { ...this.#common, ...place.address, db: place.database }
    const { sentinel } = this.#config
    const { tls } = this.#common
    return {
      ...this.#common, name: place.name, sentinels: [...place.nodes], role: 'master',
      // The check of the role, by which a Sentinel that is behind is passed over.
      enableReadyCheck: true,
      sentinelUsername: sentinel?.username ?? undefined, sentinelPassword: sentinel?.password ?? undefined,
      sentinelCommandTimeout: this.commandTimeoutMs * 2,
      // Without one the first time that no Sentinel answers would be the last.
      sentinelRetryStrategy: this.#retryStrategy, sentinelReconnectStrategy: this.#retryStrategy,
      // An old master that lives on beyond a partition is left when a Sentinel announces the new one.
      failoverDetector: true, Connector: QuietSentinels,
      ...(tls !== undefined && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    }
  }

  /** One connection to a node of a cluster. */
  node(address: Address): ConnectionSettings {
    return { ...this.#common, ...address }
  }
}

/** Doubles with every attempt; half of it is left to chance, so that nodes that lost Redis together do not come together. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(attempt - 1, 10)) * (0.5 + random() / 2)
}

function placeOf({ cluster, sentinel }: RedisConfig, url: RedisUrl | null): RedisPlace {
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster.map(addressOf) }
  if (sentinel !== undefined) return { kind: 'sentinel', name: sentinel.name, nodes: sentinel.nodes.map(addressOf) }
  if (url === null) throw new TypeError('redis: one of url, cluster, sentinel is needed')
  return { kind: 'single', address: { host: url.host, port: url.port }, database: url.database }
}

function addressOf(text: string): Address {
  const address = parseAddress(text)
  if ('problem' in address) throw new TypeError(`redis node: ${address.problem}`)
  return address
}

function tlsOptions(tls: RedisConfig['tls'], files: Readonly<Record<string, string>>): ConnectionOptions {
  if (tls === null) return { minVersion: 'TLSv1.2' }
  return {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: tls.rejectUnauthorized,
    ...(tls.ca !== null && { ca: files[tls.ca] }),
    ...(tls.cert !== null && { cert: files[tls.cert] }),
    ...(tls.key !== null && { key: files[tls.key] }),
    // An address is no server name (RFC 6066 section 3); the certificate is verified against it all the same.
    ...(tls.serverName !== null && isIP(tls.serverName) === 0 && { servername: tls.serverName }),
  }
}
