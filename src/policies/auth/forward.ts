import { Failure } from '../../base/failure.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import { isHopByHop } from '../../http/header-names.ts'
import type { PolicyExchange } from '../policy.ts'
import { type Admitted, type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import type { HttpCaller } from './http-call.ts'
import { IdentityBuilder } from './identity-builder.ts'
import type { IdentityDirectory } from './identity-directory.ts'
import { compileKey } from './request-parts.ts'
import { sha256Hex } from './sha256.ts'
import type { Looked, TokenCache } from './token-cache.ts'

/** What a service decided, without what today's directory makes of it. */
export type Decision = {
  readonly subject: string
  readonly copied: readonly (readonly [string, string])[]
}

export type ForwardDeps = {
  readonly directory: IdentityDirectory
  readonly cache: TokenCache<Decision>
  readonly caller: HttpCaller
  readonly epochMs: () => number
}

const IS_HEADER_SAFE = /^[\t\x20-\x7e]*$/

/**
 * Asks a service of the operator's. It gets the head of the request and no body; 2xx admits, and the headers that the
 * document names travel on from its answer.
 *
 * Failures: GW_UNAUTHENTICATED (401), GW_FORBIDDEN (403), GW_AUTH_UNAVAILABLE (any other status, or no answer in time).
 */
export class ForwardAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #config: AuthenticatorOf<'forward'>
  readonly #deps: ForwardDeps
  readonly #builder: IdentityBuilder
  readonly #keyOf: (exchange: PolicyExchange) => string
  /** null: all. */
  readonly #requestHeaders: ReadonlySet<string> | null

  constructor(name: string, config: AuthenticatorOf<'forward'>, deps: ForwardDeps) {
    this.name = name
    this.challenge = challengeOf('Bearer', name)
    this.#config = config
    this.#deps = deps
    this.#builder = new IdentityBuilder(name, config.setHeaders)
    this.#keyOf = compileKey(config.cacheKey)
    this.#requestHeaders = config.requestHeaders === null ? null : new Set(config.requestHeaders)
  }

  verify(exchange: PolicyExchange): AuthResult | Promise<AuthResult> {
    // Requests don't share a decision that nothing keeps: it may depend on more than the key.
    if (this.#config.cacheTtlMs === 0) return this.#ask(exchange).then(({ value }) => (value instanceof Failure ? value : this.#admit(value)))
    const { cache, epochMs } = this.#deps
    // A digest: a key may be made of all that a client can send.
    const key = sha256Hex(this.#keyOf(exchange))
    const known = cache.get(key, epochMs())
    if (known !== undefined) return this.#admit(known)
    const loaded = cache.load(key, key, () => this.#ask(exchange), epochMs)
    return loaded instanceof Failure ? loaded : loaded.then(each => (each instanceof Failure ? each : this.#admit(each)))
  }

  /** What the service reads is for the upstream too. */
  takeCredential(): void {}

  async #ask(exchange: PolicyExchange): Promise<Looked<Decision>> {
    const { url, timeoutMs, cacheTtlMs, copyHeaders, subjectHeader } = this.#config
    const answer = await this.#deps.caller.call({ url, method: 'GET', headers: this.#headersOf(exchange), timeoutMs, maxBytes: 0 })
    const untilMs = this.#deps.epochMs() + cacheTtlMs
    if ('problem' in answer) return { value: new Failure('GW_AUTH_UNAVAILABLE', `forward: ${answer.problem}`), untilMs: 0 }
    const { status, headers } = answer
    if (status === 401) return { value: new Failure('GW_UNAUTHENTICATED', 'forward: refused with 401'), untilMs }
    if (status === 403) return { value: new Failure('GW_FORBIDDEN', 'forward: refused with 403'), untilMs }
    if (status < 200 || status > 299) return { value: new Failure('GW_AUTH_UNAVAILABLE', `forward: status ${status}`), untilMs: 0 }
    const copied: [string, string][] = []
    for (const name of copyHeaders) {
      const value = headers.get(name)
      if (value !== null && IS_HEADER_SAFE.test(value)) copied.push([name, value])
    }
    return { value: { subject: subjectHeader === null ? '' : headers.get(subjectHeader) ?? '', copied }, untilMs }
  }

  #admit({ subject, copied }: Decision): Admitted {
    return this.#builder.build({ subject, consumer: subject === '' ? null : this.#deps.directory.byId(subject), upstreamHeaders: copied })
  }

  #headersOf({ request, clientIp, requestId, isTls }: PolicyExchange): Record<string, string> {
    const headers: Record<string, string> = {}
    const { lines } = request.headers
    for (let i = 0; i < lines.length; i += 2) {
      const name = lines[i]!
      if (this.#requestHeaders?.has(name) === false || isOwn(name)) continue
      headers[name] ??= request.headers.get(name)!
    }
    headers['x-forwarded-method'] = request.method
    headers['x-forwarded-proto'] = isTls ? 'https' : 'http'
    headers['x-forwarded-host'] = request.host
    headers['x-forwarded-uri'] = request.query === '' ? request.path : `${request.path}?${request.query}`
    headers['x-forwarded-for'] = clientIp
    headers['x-request-id'] = requestId
    return headers
  }
}

/** What concerns the connection or the body of the request, or what undici writes itself. */
function isOwn(name: string): boolean {
  return isHopByHop(name) || name.startsWith('content-') || name === 'host' || name === 'expect' || name === 'accept-encoding'
    || name.startsWith('x-forwarded-') || name === '__proto__'
}
