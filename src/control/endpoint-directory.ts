import type { UpstreamConfig } from '../config/schema.ts'
import type { EndpointTable } from '../protocol/endpoint-table.ts'
import type { Log } from '../telemetry/log.ts'
import { type EndpointAddress, type EndpointInput, parseEndpoint } from '../upstream/endpoint.ts'
import { UpstreamSettings } from '../upstream/upstream-settings.ts'
import type { HealthConfig } from './health/http-probe.ts'
import type { Prober, ProberEvents } from './health/prober.ts'
import type { TlsOptions } from './health/tcp-probe.ts'

/** How long a version waits for the first look-up of what it discovers anew. */
const FIRST_LOOK_UP_MS = 2000

export type DiscoveryConfig = NonNullable<UpstreamConfig['discovery']>

export type EndpointSourceEvents = {
  /** All that were found, at every look; each with a URL that can be used, also more than once. */
  onEndpoints(endpoints: readonly EndpointInput[]): void
  /** A look-up failed; those found before stay. */
  onFailure(problem: string): void
}

/** Where the endpoints of one upstream are found. `refresh` resolves after one look-up, whatever came of it. */
export type EndpointSource = { start(): void; stop(): void; refresh(): Promise<void> }

export type EndpointDirectoryDeps = {
  createSource(config: DiscoveryConfig, events: EndpointSourceEvents): EndpointSource
  createProber(config: HealthConfig, tlsOptions: TlsOptions, events: ProberEvents): Pick<Prober, 'update' | 'states' | 'stop'>
}

export type EndpointDirectoryEvents = {
  /** Endpoints were found or lost, or the health of one changed. */
  onChange(upstream: string, table: EndpointTable): void
}

type DirectoryLog = Pick<Log, 'info' | 'warn'>

/**
 * The endpoints of all upstreams, as the primary knows them for all workers: those of the document, those that discovery
 * finds, and which of them are healthy.
 */
export class EndpointDirectory {
  readonly #deps: EndpointDirectoryDeps
  readonly #log: DirectoryLog
  readonly #events: EndpointDirectoryEvents
  readonly #firstLookUpMs: number
  readonly #upstreams = new Map<string, UpstreamEndpoints>()
  #endWait: (() => void) | null = null
  #isStopped = false

  constructor(deps: EndpointDirectoryDeps, log: DirectoryLog, events: EndpointDirectoryEvents, firstLookUpMs = FIRST_LOOK_UP_MS) {
    this.#deps = deps
    this.#log = log
    this.#events = events
    this.#firstLookUpMs = firstLookUpMs
  }

  /**
   * Follows a document. Sources and probers whose settings stay are kept with what they know; after at most two seconds
   * the new ones count as looked up. `files`: content of the PEM files by name.
   *
   * What this changes itself is not told by `onChange`: the caller hands `tables()` to the workers. When they refuse the
   * version, it applies the one before again and does the same. One call at a time.
   */
  async apply(upstreams: Readonly<Record<string, UpstreamConfig>>, files: Readonly<Record<string, string>>): Promise<void> {
    if (this.#isStopped) return
    for (const [name, upstream] of this.#upstreams) {
      if (Object.hasOwn(upstreams, name)) continue
      upstream.stop()
      this.#upstreams.delete(name)
    }
    const lookUps: Promise<void>[] = []
    for (const [name, config] of Object.entries(upstreams)) {
      let upstream = this.#upstreams.get(name)
      if (upstream === undefined) {
        upstream = new UpstreamEndpoints(name, this.#deps, this.#log, this.#events)
        this.#upstreams.set(name, upstream)
      }
      const lookUp = upstream.follow(config, files)
      if (lookUp !== null) lookUps.push(lookUp)
    }
    if (lookUps.length > 0) await this.#waitFor(lookUps)
    for (const upstream of this.#upstreams.values()) upstream.isHeld = false
  }

  tables(): Record<string, EndpointTable> {
    return Object.fromEntries(Array.from(this.#upstreams, ([name, { table }]) => [name, table]))
  }

  /** For good; ends the wait of an `apply` under way. */
  stop(): void {
    this.#isStopped = true
    for (const upstream of this.#upstreams.values()) upstream.stop()
    this.#upstreams.clear()
    this.#endWait?.()
  }

  #waitFor(lookUps: readonly Promise<void>[]): Promise<void> {
    return new Promise(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#endWait = null
        resolve()
      }
      const timer = setTimeout(end, this.#firstLookUpMs)
      this.#endWait = end
      // A look-up that failed has been told by its source.
      void Promise.allSettled(lookUps).then(end)
    })
  }
}

/** The endpoints of one upstream. */
class UpstreamEndpoints {
  /** `endpoints` is the same array as long as only health changes: those of the document first, then those found. */
  table: EndpointTable = { endpoints: [], unhealthy: [] }
  /** Its settings have just changed: the workers are told by `tables()`, not by `onChange`. */
  isHeld = false
  readonly #name: string
  readonly #deps: EndpointDirectoryDeps
  readonly #log: DirectoryLog
  readonly #events: EndpointDirectoryEvents
  #fixed: readonly EndpointAddress[] = []
  #found: readonly EndpointAddress[] = []
  #source: EndpointSource | null = null
  #prober: ReturnType<EndpointDirectoryDeps['createProber']> | null = null
  /** Settings as text, to see whether they changed. */
  #fixedKey = ''
  #discoveryKey = ''
  #placeKey = ''
  #healthKey = ''
  /** The problem that was logged last; null when the last look-up went well. */
  #problem: string | null = null

  constructor(name: string, deps: EndpointDirectoryDeps, log: DirectoryLog, events: EndpointDirectoryEvents) {
    this.#name = name
    this.#deps = deps
    this.#log = log
    this.#events = events
  }

  /** Answers the first look-up of a new source, or null. */
  follow(config: UpstreamConfig, files: Readonly<Record<string, string>>): Promise<void> | null {
    const fixedKey = JSON.stringify(config.endpoints)
    const discoveryKey = JSON.stringify(config.discovery)
    const healthKey = JSON.stringify(config.health === null ? null : [config.health, config.tls, contents(config.tls, files)])
    const isNewSource = discoveryKey !== this.#discoveryKey
    const isNewProber = healthKey !== this.#healthKey
    this.isHeld = isNewSource || isNewProber || fixedKey !== this.#fixedKey
    if (!this.isHeld) return null
    this.#fixedKey = fixedKey
    this.#discoveryKey = discoveryKey
    this.#healthKey = healthKey
    this.#fixed = config.endpoints.map(parseEndpoint)
    if (isNewProber) this.#replaceProber(config, files)
    if (isNewSource) this.#dropSource(config.discovery)
    this.#update()
    return isNewSource && config.discovery !== null ? this.#startSource(config.discovery) : null
  }

  stop(): void {
    this.#source?.stop()
    this.#source = null
    this.#prober?.stop()
    this.#prober = null
  }

  #replaceProber(config: UpstreamConfig, files: Readonly<Record<string, string>>): void {
    this.#prober?.stop()
    this.#prober = null
    if (config.health === null) return
    // Sessions are not kept: each probe makes a whole handshake, and sees a certificate that has run out.
    const settings = new UpstreamSettings(config, files)
    this.#prober = this.#deps.createProber(config.health, host => settings.tls(host), {
      onTransition: (url, isHealthy, reason) => this.#onTransition(url, isHealthy, reason),
    })
  }

  #dropSource(next: DiscoveryConfig | null): void {
    this.#source?.stop()
    this.#source = null
    this.#problem = null
    const placeKey = next === null ? '' : placeOf(next)
    // Another interval is no reason to forget what was found in the same place.
    if (placeKey !== this.#placeKey) this.#found = []
    this.#placeKey = placeKey
  }

  #startSource(config: DiscoveryConfig): Promise<void> {
    const source: EndpointSource = this.#deps.createSource(config, {
      onEndpoints: endpoints => { if (this.#source === source) this.#onEndpoints(endpoints) },
      onFailure: problem => { if (this.#source === source) this.#onFailure(problem) },
    })
    this.#source = source
    source.start()
    return source.refresh()
  }

  #onEndpoints(endpoints: readonly EndpointInput[]): void {
    this.#problem = null
    this.#found = endpoints.map(parseEndpoint)
    const before = this.table.endpoints
    this.#update()
    const { endpoints: after } = this.table
    if (after === before) return
    this.#log.info({ event: 'endpointsChanged', upstream: this.#name, added: urlsBeside(after, before), removed: urlsBeside(before, after) })
    this.#tell()
  }

  #onFailure(problem: string): void {
    // Once, not at every interval for as long as it lasts.
    if (problem === this.#problem) return
    this.#problem = problem
    this.#log.warn({ event: 'discoveryFailed', upstream: this.#name, problem })
  }

  #onTransition(url: string, isHealthy: boolean, reason: string): void {
    const entry = { event: isHealthy ? 'endpointHealthy' : 'endpointUnhealthy', upstream: this.#name, endpoint: url, reason }
    if (isHealthy) this.#log.info(entry)
    else this.#log.warn(entry)
    this.table = { endpoints: this.table.endpoints, unhealthy: this.#unhealthy() }
    this.#tell()
  }

  #tell(): void {
    if (!this.isHeld) this.#events.onChange(this.#name, this.table)
  }

  /** Brings the prober and the table in line with the endpoints. */
  #update(): void {
    const addresses = new Map<string, EndpointAddress>()
    for (const address of [...this.#fixed, ...this.#found]) if (!addresses.has(address.url)) addresses.set(address.url, address)
    this.#prober?.update([...addresses.values()])
    const endpoints = Array.from(addresses.values(), ({ url, weight, priority, zone, name }) => ({ url, weight, priority, zone, name }))
    const isSame = JSON.stringify(endpoints) === JSON.stringify(this.table.endpoints)
    this.table = { endpoints: isSame ? this.table.endpoints : endpoints, unhealthy: this.#unhealthy() }
  }

  #unhealthy(): string[] {
    return Array.from(this.#prober?.states() ?? []).flatMap(([url, isHealthy]) => (isHealthy ? [] : [url]))
  }
}

/** A certificate that was renewed under its old name is another setting. */
function contents({ ca, cert, key }: UpstreamConfig['tls'], files: Readonly<Record<string, string>>): unknown[] {
  return [ca, cert, key].map(name => (name === null ? null : files[name]))
}

/** What is looked up, without how often. */
function placeOf({ dns, srv, scheme, resolver, file, url }: DiscoveryConfig): string {
  return JSON.stringify([dns, srv, scheme, resolver, file, url])
}

const urlOf = (endpoint: EndpointInput): string => (typeof endpoint === 'string' ? endpoint : endpoint.url)

/** URLs of `list` that are not in `other`. */
function urlsBeside(list: readonly EndpointInput[], other: readonly EndpointInput[]): string[] {
  const known = new Set(other.map(urlOf))
  return list.map(urlOf).filter(url => !known.has(url))
}
