import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type { Document } from './schema.ts'
import type { Snapshot } from './snapshot.ts'

/** Makes the snapshot of a checked document: file names absolute, version, frozen. `folder`: of the document. */
export function sealSnapshot(checked: Document, files: Readonly<Record<string, string>>, folder: string): Snapshot {
  const document = withAbsoluteNames(checked, folder)
  return freeze({ version: versionOf(document, files), document, files })
}

function withAbsoluteNames(document: Document, folder: string): Document {
  const absolute = (name: string): string => resolve(folder, name)
  const orNull = (name: string | null): string | null => (name === null ? null : absolute(name))
  const { accessLog, redis } = document
  const isStream = accessLog?.destination === 'stdout' || accessLog?.destination === 'stderr'
  return {
    ...document,
    listeners: document.listeners.map(listener => (listener.tls === undefined ? listener : {
      ...listener,
      tls: {
        ...listener.tls,
        certificates: listener.tls.certificates.map(each => ({ ...each, cert: absolute(each.cert), key: absolute(each.key) })),
      },
    })),
    dataDirectory: absolute(document.dataDirectory),
    accessLog: accessLog === null || isStream ? accessLog : { ...accessLog, destination: absolute(accessLog.destination) },
    authenticators: Object.fromEntries(Object.entries(document.authenticators).map(([name, config]) => [
      name, 'publicKey' in config && config.publicKey !== undefined ? { ...config, publicKey: absolute(config.publicKey) } : config,
    ])),
    redis: redis === null || redis.tls === null ? redis : {
      ...redis, tls: { ...redis.tls, ca: orNull(redis.tls.ca), cert: orNull(redis.tls.cert), key: orNull(redis.tls.key) },
    },
    upstreams: Object.fromEntries(Object.entries(document.upstreams).map(([name, config]) => [name, {
      ...config,
      discovery: config.discovery?.file === undefined ? config.discovery : { ...config.discovery, file: absolute(config.discovery.file) },
      tls: { ...config.tls, ca: orNull(config.tls.ca), cert: orNull(config.tls.cert), key: orNull(config.tls.key) },
    }])),
  }
}

function versionOf(document: Document, files: Readonly<Record<string, string>>): string {
  const hash = createHash('sha256')
  const { routes, ...rest } = document
  // Route by route: the text of 50,000 of them in one string would be 20 MB more at the peak.
  hash.update(canonicalJson({ document: rest, files }))
  for (const route of routes) hash.update(canonicalJson(route))
  return hash.digest('hex').slice(0, 16)
}

/** JSON with names in order, so that equal content has equal text. */
function canonicalJson(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  const members: string[] = []
  for (const name of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[name]
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${canonicalJson(member)}`)
  }
  return `{${members.join(',')}}`
}

/** Freezes plain data in depth. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const member of Object.values(value)) freeze(member)
  return Object.freeze(value)
}
