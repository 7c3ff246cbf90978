import { Failure } from '../../base/failure.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import type { PolicyExchange } from '../policy.ts'
import { type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import { bearerToken, MAX_TOKEN_CHARS } from './bearer.ts'
import { ClaimsIdentities, type VerifiedClaims, verifiedClaims } from './claims-identity.ts'
import { type CredentialPlace, credentialPlace } from './credential-place.ts'
import type { HttpCaller } from './http-call.ts'
import type { IdentityDirectory } from './identity-directory.ts'
import { sha256Hex } from './sha256.ts'
import type { Looked, TokenCache } from './token-cache.ts'

const MAX_ANSWER_BYTES = 65_536
/** A token that is not active stays so; kept short all the same, for one that was asked about too early. */
const REFUSAL_TTL_MS = 5000

export type IntrospectionDeps = {
  readonly directory: IdentityDirectory
  readonly cache: TokenCache<VerifiedClaims>
  readonly caller: HttpCaller
  readonly epochMs: () => number
}

/**
 * Asks the issuer about opaque tokens.
 *
 * Failures: GW_UNAUTHENTICATED; GW_AUTH_UNAVAILABLE when the issuer does not answer, or not properly.
 * Source: RFC 7662; RFC 6749 section 2.3.1 (how the gateway shows who it is).
 */
export class IntrospectionAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #config: AuthenticatorOf<'introspection'>
  readonly #deps: IntrospectionDeps
  readonly #place: CredentialPlace
  readonly #needsScheme: boolean
  readonly #identities: ClaimsIdentities
  readonly #headers: Readonly<Record<string, string>>

  constructor(name: string, config: AuthenticatorOf<'introspection'>, deps: IntrospectionDeps) {
    this.name = name
    this.challenge = challengeOf('Bearer', name)
    this.#config = config
    this.#deps = deps
    this.#place = credentialPlace(config.in)
    this.#needsScheme = config.in.toLowerCase() === 'header:authorization'
    this.#identities = new ClaimsIdentities(name, config, deps.directory)
    const pair = `${formEncode(config.clientId)}:${formEncode(config.clientSecret)}`
    this.#headers = {
      authorization: `Basic ${Buffer.from(pair).toString('base64')}`, accept: 'application/json',
      'content-type': 'application/x-www-form-urlencoded',
    }
  }

  verify(exchange: PolicyExchange): AuthResult | Promise<AuthResult> {
    const value = this.#place.read(exchange)
    if (value === undefined) return 'absent'
    const token = bearerToken(value, this.#needsScheme)
    if (token === 'absent') return 'absent'
    const { cache, epochMs } = this.#deps
    const known = cache.get(token, epochMs())
    if (known !== undefined) return this.#identities.of(known)
    if (token === '' || token.length > MAX_TOKEN_CHARS) return new Failure('GW_UNAUTHENTICATED', 'introspection: no token, or one too long')
    const loaded = cache.load(token, sha256Hex(token), () => this.#look(token), epochMs)
    return loaded instanceof Failure ? loaded : loaded.then(each => (each instanceof Failure ? each : this.#identities.of(each)))
  }

  takeCredential(exchange: PolicyExchange): void {
    if (!this.#config.forwardCredential) this.#place.remove(exchange)
  }

  async #look(token: string): Promise<Looked<VerifiedClaims>> {
    const { url, timeoutMs, cacheTtlMs } = this.#config
    const body = `token=${formEncode(token)}&token_type_hint=access_token`
    const answer = await this.#deps.caller.call({ url, method: 'POST', headers: this.#headers, body, timeoutMs, maxBytes: MAX_ANSWER_BYTES })
    if ('problem' in answer) return unavailable(answer.problem)
    if (answer.status !== 200) return unavailable(`status ${answer.status}`)
    const claims = readObject(answer.body)
    if (claims === null || typeof claims.active !== 'boolean') return unavailable('the answer is no introspection response')
    const now = this.#deps.epochMs()
    const { exp, nbf } = claims
    const endMs = typeof exp === 'number' ? exp * 1000 : Infinity
    // An issuer should answer that these are not active (RFC 7662 section 4); not all do.
    const isActive = claims.active && now < endMs && !(typeof nbf === 'number' && now < nbf * 1000)
    if (!isActive) return { value: new Failure('GW_UNAUTHENTICATED', 'introspection: not active'), untilMs: now + Math.min(cacheTtlMs, REFUSAL_TTL_MS) }
    return { value: verifiedClaims(claims), untilMs: Math.min(now + cacheTtlMs, endMs) }
  }
}

function unavailable(problem: string): { value: Failure; untilMs: number } {
  return { value: new Failure('GW_AUTH_UNAVAILABLE', `introspection: ${problem}`), untilMs: 0 }
}

function readObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value as Record<string, unknown> : null
  } catch {
    return null
  }
}

/** application/x-www-form-urlencoded, of one value. */
function formEncode(value: string): string {
  return new URLSearchParams([['v', value]]).toString().slice(2)
}
