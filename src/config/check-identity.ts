import { createPublicKey, type KeyObject } from 'node:crypto'
import { isTakenOut } from './check-headers.ts'
import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import { nearest, quoteList } from './nearest.ts'
import { problemOfHash, readPasswordHash } from './password-hash.ts'
import type { PemFiles } from './pem-files.ts'
import type { Path } from './pointer.ts'
import type { AuthenticatorConfig, AuthenticatorOf } from './schema-identity.ts'
import { algorithmsOf, readJwk } from './verification-key.ts'

const KEY_SOURCES = ['publicKey', 'secret', 'jwks', 'jwksUrl'] as const
const KNOWN_TEMPLATES = /^(?:claim\..+|consumer\.(?:id|plan)|subject)$/
const MIN_HMAC_SECRET_BYTES = 32

/** Authenticators, plans and consumers: keys that fit their algorithms, names that are defined, digests that are one consumer's. */
export function checkIdentity(document: Checkable, list: FindingList, files: PemFiles): void {
  const credentials = credentialHeaders(document)
  for (const [name, config] of document.authenticators) {
    if (config === undefined) continue
    const path = ['authenticators', name]
    checkByType(config, path, list, files)
    if (config.type !== 'mtls') checkHeadersOf(config, credentials, path, list)
  }
  checkConsumers(document, list)
}

function checkByType(config: AuthenticatorConfig, path: Path, list: FindingList, files: PemFiles): void {
  switch (config.type) {
    case 'jwt': return checkJwt(config, path, list, files)
    case 'basic': return checkBasic(config, path, list)
    case 'hmac': return checkHmac(config, path, list)
    case 'introspection': return checkUrl(config.url, [...path, 'url'], list)
    case 'forward': return checkUrl(config.url, [...path, 'url'], list)
    case 'mtls': return list.add([...path, 'type'], '\'mtls\' is not supported yet by this version, the acceptor can\'t see the certificate of a client: remove it')
    case 'api-key': return
  }
}

function checkJwt(config: AuthenticatorOf<'jwt'>, path: Path, list: FindingList, files: PemFiles): void {
  const named = KEY_SOURCES.filter(source => config[source] !== undefined)
  if (named.length !== 1) {
    list.add([...path], named.length === 0 ? 'has no key: add one of publicKey, secret, jwks, jwksUrl' : `has ${named.length} sources of keys, ${named.join(' and ')}: keep one`)
    return
  }
  const { algorithms, secret, publicKey, jwks, jwksUrl } = config
  algorithms.forEach((algorithm, index) => {
    if (algorithm.startsWith('HS') === (secret !== undefined)) return
    const remedy = secret === undefined ? 'needs \'secret\' in place of a public key' : 'needs a public key; with \'secret\' HS256, HS384 and HS512 work'
    list.add([...path, 'algorithms', index], `'${algorithm}' ${remedy}`)
  })
  if (secret !== undefined) {
    // RFC 7518 section 3.2: a key as long as the hash, or longer.
    const minBytes = Math.max(...algorithms.map(algorithm => Number(algorithm.slice(2)) / 8))
    if (Buffer.byteLength(secret) < minBytes) list.add([...path, 'secret'], `is too short for its algorithms: at least ${minBytes} bytes`)
  }
  if (jwksUrl !== undefined) checkUrl(jwksUrl, [...path, 'jwksUrl'], list)
  if (publicKey !== undefined) checkPublicKey(config, publicKey, path, list, files)
  const able = new Set<string>()
  jwks?.keys.forEach((jwk, index) => {
    const read = readJwk(jwk)
    if ('problem' in read) list.add([...path, 'jwks', 'keys', index], `this key ${read.problem}`)
    else for (const algorithm of read.algorithms) able.add(algorithm)
  })
  if (able.size > 0) reportUnfit(algorithms, able, 'the keys of \'jwks\'', path, list)
}

function checkPublicKey({ algorithms }: AuthenticatorOf<'jwt'>, file: string, path: Path, list: FindingList, files: PemFiles): void {
  const place = [...path, 'publicKey']
  const pem = files.text(file, place)
  if (pem === null) return
  if (pem.includes('PRIVATE KEY-----')) return list.add(place, `${list.quote(place, file)} holds a private key: give the public one`)
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    return list.add(place, `${list.quote(place, file)} holds no public key that can be read: PEM is expected (-----BEGIN PUBLIC KEY-----)`)
  }
  const able = algorithmsOf(key)
  if (able.length === 0) return list.add(place, `${list.quote(place, file)} holds a key that fits no algorithm: RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519 is expected`)
  reportUnfit(algorithms, new Set(able), 'this public key', path, list)
}

function reportUnfit(algorithms: readonly string[], able: ReadonlySet<string>, what: string, path: Path, list: FindingList): void {
  algorithms.forEach((algorithm, index) => {
    if (able.has(algorithm) || algorithm.startsWith('HS')) return
    list.add([...path, 'algorithms', index], `'${algorithm}' does not fit ${what}; these do: ${quoteList([...able])}`)
  })
}

function checkBasic({ users }: AuthenticatorOf<'basic'>, path: Path, list: FindingList): void {
  let first: { readonly name: string; readonly parameters: string } | null = null
  for (const [name, text] of Object.entries(users)) {
    const place = [...path, 'users', name]
    const hash = readPasswordHash(text)
    const problem = problemOfHash(hash)
    if (problem !== null) list.add(place, problem)
    const parameters = [hash.cost, hash.blockSize, hash.parallelization].join()
    first ??= { name, parameters }
    // One cost for all, and for names that don't exist.
    if (first.parameters !== parameters) list.add(place, `has other parameters than user '${first.name}': give all the same, or the time of an answer tells who exists`)
  }
  if (first === null) list.add([...path, 'users'], 'must have at least one user')
}

function checkHmac({ secrets }: AuthenticatorOf<'hmac'>, path: Path, list: FindingList): void {
  const entries = Object.entries(secrets)
  if (entries.length === 0) list.add([...path, 'secrets'], 'must have at least one key')
  for (const [id, secret] of entries) {
    if (Buffer.byteLength(secret) < MIN_HMAC_SECRET_BYTES) list.add([...path, 'secrets', id], `is too short: at least ${MIN_HMAC_SECRET_BYTES} bytes`)
  }
}

function checkUrl(url: string, path: Path, list: FindingList): void {
  const shown = list.quote(path, url.replace(/\/\/[^/]*@/, '//[redacted]@'))
  if (!/^https?:\/\//.test(url) || !URL.canParse(url)) return list.add(path, `${shown} is not an http or https URL`)
  const { username, password } = new URL(url)
  if (username + password !== '') list.add(path, `${shown} holds credentials: remove them`)
}

/** Headers in which some authenticator finds its credential: one that also took them from clients would refuse everybody. */
function credentialHeaders({ authenticators }: Checkable): Set<string> {
  const found = new Set(['authorization', 'cookie'])
  for (const config of authenticators.values()) {
    if (config !== undefined && 'in' in config && config.in.startsWith('header:')) found.add(config.in.slice(7).toLowerCase())
  }
  return found
}

function checkHeadersOf(config: Exclude<AuthenticatorConfig, { type: 'mtls' }>, credentials: ReadonlySet<string>, path: Path, list: FindingList): void {
  const check = (name: string, place: Path, at: 'key' | 'value'): void => {
    if (isTakenOut(name) || name === 'expect') list.add(place, `'${name}' is the gateway's own: choose another header`, at)
    else if (credentials.has(name)) list.add(place, `'${name}' carries credentials of clients, and would be taken from them: choose another header`, at)
  }
  for (const [name, value] of Object.entries(config.setHeaders)) {
    const place = [...path, 'setHeaders', name]
    check(name, place, 'key')
    for (const [written, template = ''] of value.matchAll(/\{([^{}]+)\}/g)) {
      if (!KNOWN_TEMPLATES.test(template)) list.add(place, `${list.hasVariable(place) ? 'a template in it' : written} is not known here; known: {claim.NAME}, {consumer.id}, {consumer.plan}, {subject}`)
    }
  }
  if (config.type === 'forward') config.copyHeaders.forEach((name, index) => check(name, [...path, 'copyHeaders', index], 'value'))
}

function checkConsumers({ consumers, plans }: Checkable, list: FindingList): void {
  const ids = new Map<string, number>()
  const digests = new Map<string, string>()
  consumers.forEach((consumer, index) => {
    if (consumer === undefined) return
    const path = ['consumers', index]
    const first = ids.get(consumer.id)
    if (first === undefined) ids.set(consumer.id, index)
    else list.add([...path, 'id'], `id ${list.quote([...path, 'id'], consumer.id)} is taken by /consumers/${first}: choose another`)
    if (consumer.plan !== null && !plans.has(consumer.plan)) notDefined('plan', consumer.plan, plans.keys(), [...path, 'plan'], list)
    consumer.keys.forEach((key, keyIndex) => {
      const digest = typeof key === 'string' ? key : key.digest
      const place = `/consumers/${index}/keys/${keyIndex}`
      const earlier = digests.get(digest)
      if (earlier === undefined) digests.set(digest, place)
      else list.add([...path, 'keys', keyIndex], `is the same key as ${earlier}: a key is one consumer's`)
    })
  })
}

/** A name that some part of the document should have defined. */
export function notDefined(what: string, name: string, known: Iterable<string>, path: Path, list: FindingList): void {
  const names = [...known]
  const like = list.hasVariable(path) ? null : nearest(name, names)
  const defined = names.length === 0 ? 'none is defined' : `defined: ${quoteList(names)}`
  list.add(path, `${what} ${list.quote(path, name)} is not defined; ${like === null ? '' : `did you mean '${like}'? `}${defined}`)
}
