import type * as Jose from 'jose'
import { Failure } from '../../base/failure.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import type { PolicyExchange } from '../policy.ts'
import { type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import { bearerToken, MAX_TOKEN_CHARS } from './bearer.ts'
import { ClaimsIdentities, type VerifiedClaims, verifiedClaims } from './claims-identity.ts'
import { type CredentialPlace, credentialPlace } from './credential-place.ts'
import type { IdentityDirectory } from './identity-directory.ts'
import type { JwksSource } from './jwks-source.ts'
import { sha256Hex } from './sha256.ts'
import type { Looked, TokenCache } from './token-cache.ts'

/** How long a token that does not hold is refused unseen. Short: it may be one that is not valid yet. */
const REFUSAL_TTL_MS = 5000
const MAX_KID_CHARS = 256
/** The decoder would pass spaces and padding over: one token in a thousand spellings, each a place in the cache. */
const IS_TOKEN = /^[\w-]+\.[\w-]+\.[\w-]+$/

export type JwtDeps = {
  readonly keys: JwksSource
  readonly directory: IdentityDirectory
  readonly cache: TokenCache<VerifiedClaims>
  readonly epochMs: () => number
}

/**
 * Verifies JSON Web Tokens by jose. What a token may choose is its key id and one of the algorithms of the document, and
 * an algorithm goes with keys of its own kind only. Verified ones are cached by the token itself, so that a hit parses
 * nothing and makes no promise.
 *
 * Failures: GW_UNAUTHENTICATED; GW_AUTH_UNAVAILABLE when the keys can't be had or too much is under way.
 * Source: RFC 7519 section 7.2; RFC 8725 (best current practices); RFC 7515 section 4.1.
 */
export class JwtAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #config: AuthenticatorOf<'jwt'>
  readonly #deps: JwtDeps
  readonly #place: CredentialPlace
  readonly #needsScheme: boolean
  readonly #identities: ClaimsIdentities

  constructor(name: string, config: AuthenticatorOf<'jwt'>, deps: JwtDeps) {
    this.name = name
    this.challenge = challengeOf('Bearer', name)
    this.#config = config
    this.#deps = deps
    this.#place = credentialPlace(config.in)
    this.#needsScheme = config.in.toLowerCase() === 'header:authorization'
    this.#identities = new ClaimsIdentities(name, config, deps.directory)
  }

  verify(exchange: PolicyExchange): AuthResult | Promise<AuthResult> {
    const value = this.#place.read(exchange)
    if (value === undefined) return 'absent'
    const token = bearerToken(value, this.#needsScheme)
    if (token === 'absent') return 'absent'
    const { cache, epochMs } = this.#deps
    const known = cache.get(token, epochMs())
    if (known !== undefined) return this.#identities.of(known)

    if (token.length > MAX_TOKEN_CHARS) return refuse('jwt: too long')
    if (!IS_TOKEN.test(token)) return refuse('jwt: malformed')
    const loaded = cache.load(token, sha256Hex(token), () => this.#look(token), epochMs)
    return loaded instanceof Failure ? loaded : loaded.then(each => (each instanceof Failure ? each : this.#identities.of(each)))
  }

  takeCredential(exchange: PolicyExchange): void {
    if (!this.#config.forwardCredential) this.#place.remove(exchange)
  }

  async #look(token: string): Promise<Looked<VerifiedClaims>> {
    const now = this.#deps.epochMs()
    const toleranceMs = this.#config.clockToleranceMs
    const { errors, jwtVerify } = await (jose ??= import('jose'))
    try {
      const { payload } = await jwtVerify(token, header => this.#keyFor(header), this.#optionsAt(now))
      const ends = payload.exp === undefined ? Infinity : payload.exp * 1000 + toleranceMs
      return { value: verifiedClaims(payload), untilMs: Math.min(now + this.#config.cacheTtlMs, ends) }
    } catch (cause) {
      if (cause instanceof KeysUnavailable) return { value: new Failure('GW_AUTH_UNAVAILABLE', `jwt: no keys: ${this.#deps.keys.problem}`), untilMs: now }
      return { value: refuse(reasonOf(cause, errors)), untilMs: refusalEnd(cause, errors, now, toleranceMs) }
    }
  }

  async #keyFor({ kid, alg }: { kid?: unknown; alg?: unknown }) {
    if (kid !== undefined && (typeof kid !== 'string' || kid.length > MAX_KID_CHARS)) throw new NoKey()
    // jose has seen that it is one of `algorithms`.
    const key = await this.#deps.keys.keyFor(kid ?? null, alg as string)
    if (key === 'unavailable') throw new KeysUnavailable()
    if (key === null) throw new NoKey()
    return key
  }

  #optionsAt(now: number): Jose.JWTVerifyOptions {
    const { algorithms, issuer, audience, requiredClaims, tokenType, clockToleranceMs } = this.#config
    return {
      algorithms, requiredClaims, currentDate: new Date(now), clockTolerance: clockToleranceMs / 1000,
      ...(issuer === null ? {} : { issuer }), ...(audience === null ? {} : { audience }), ...(tokenType === null ? {} : { typ: tokenType }),
    }
  }
}

/** With the first token: every thread would load it at its start, also one that checks none. */
let jose: Promise<typeof Jose> | null = null

class NoKey extends Error {}
class KeysUnavailable extends Error {}

function refuse(reason: string): Failure {
  return new Failure('GW_UNAUTHENTICATED', reason)
}

/** For the log; nothing of the token stands in it but the names of claims that the document or a standard has. */
function reasonOf(cause: unknown, errors: typeof Jose.errors): string {
  if (cause instanceof NoKey) return 'jwt: no key with this id for this algorithm'
  if (cause instanceof errors.JWTExpired) return 'jwt: expired'
  if (cause instanceof errors.JWTClaimValidationFailed) return `jwt: claim ${cause.claim} ${cause.reason}`
  if (cause instanceof errors.JOSEAlgNotAllowed) return 'jwt: algorithm not accepted'
  if (cause instanceof errors.JWSSignatureVerificationFailed) return 'jwt: wrong signature'
  return cause instanceof errors.JOSEError ? `jwt: ${cause.code}` : 'jwt: malformed'
}

/**
 * Only what took a signature to find out is kept, and what is not valid yet no longer than that. A token whose key is
 * not known may be one of a key that is new.
 */
function refusalEnd(cause: unknown, errors: typeof Jose.errors, now: number, toleranceMs: number): number {
  if (cause instanceof errors.JWTClaimValidationFailed && cause.claim === 'nbf') {
    const notBefore = cause.payload.nbf
    return typeof notBefore === 'number' ? Math.min(now + REFUSAL_TTL_MS, notBefore * 1000 - toleranceMs) : now
  }
  const isProven = cause instanceof errors.JWTClaimValidationFailed || cause instanceof errors.JWTExpired || cause instanceof errors.JWSSignatureVerificationFailed
  return isProven ? now + REFUSAL_TTL_MS : now
}
