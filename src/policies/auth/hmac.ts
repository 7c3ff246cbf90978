import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import type { RequestHead } from '../../http/message.ts'
import type { PolicyExchange } from '../policy.ts'
import { type Admitted, type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import { IdentityBuilder } from './identity-builder.ts'
import type { IdentityDirectory } from './identity-directory.ts'
import type { NonceTable } from './nonce-table.ts'

const SCHEME = 'HMAC-SHA256'
const IS_OURS = /^hmac-sha256 /i
const FORM = /^hmac-sha256 +id=([\w.@-]{1,128}), *nonce=([\w-]{16,64}), *signature=([A-Za-z0-9+/_-]{43}={0,1})$/i
/** IMF-fixdate (RFC 9110 section 5.6.7), or the form of ISO 8601 that JSON libraries write. */
const IS_DATE = /^(?:[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT|\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,3})?Z)$/

export type HmacDeps = {
  readonly directory: IdentityDirectory
  readonly nonces: NonceTable
  readonly epochMs: () => number
}

/**
 * The text that a client signs: these, in this order, each ended by a line feed but the last.
 *
 *     method          as sent
 *     host            the Host header in lower case, with its port where it has one
 *     path            normalised as RFC 3986 section 6.2.2 says (which most clients send anyway)
 *     query           as sent, without the question mark; empty without one
 *     date            the value of x-date, or of Date without one
 *     nonce           16 to 64 letters, digits, _ or -, never used before with this key
 *     content-digest  the value of Content-Digest (RFC 9530); empty without one
 *
 * No part can hold a line feed, so no two requests have the same text.
 */
export function signedText({ method, host, path, query, headers }: RequestHead, nonce: string): string {
  const date = headers.get('x-date') ?? headers.get('date') ?? ''
  return [method, host.toLowerCase(), path, query, date, nonce, headers.get('content-digest') ?? ''].join('\n')
}

/**
 * Admits requests that are signed with a shared secret:
 * `Authorization: HMAC-SHA256 id=KEY, nonce=NONCE, signature=BASE64 of HMAC-SHA256(secret, text)`.
 * A request with a body must have a Content-Digest. That it is signed is checked here; that it is the body's is for the
 * upstream to check, since policies don't see bodies.
 *
 * Failures: GW_UNAUTHENTICATED (also a replay); GW_AUTH_UNAVAILABLE when the nonces are full.
 */
export class HmacAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #deps: HmacDeps
  readonly #clockSkewMs: number
  readonly #secrets: ReadonlyMap<string, string>
  /** Signs for key ids that don't exist, with the same work. */
  readonly #nobody = randomBytes(32).toString('base64')
  readonly #identities: ReadonlyMap<string, Admitted>

  constructor(name: string, config: AuthenticatorOf<'hmac'>, deps: HmacDeps) {
    this.name = name
    this.challenge = challengeOf(SCHEME, name)
    this.#deps = deps
    this.#clockSkewMs = config.clockSkewMs
    this.#secrets = new Map(Object.entries(config.secrets))
    const builder = new IdentityBuilder(name, config.setHeaders)
    this.#identities = new Map(Object.keys(config.secrets).map(id => [id, builder.build({ subject: id, consumer: deps.directory.byId(id) })]))
  }

  verify({ request }: PolicyExchange): AuthResult {
    const value = request.headers.get('authorization')
    if (value === undefined || !IS_OURS.test(value)) return 'absent'
    const [, id = '', nonce = '', signature = ''] = FORM.exec(value) ?? []
    if (id === '') return refuse('malformed')
    const dateMs = this.#dateOf(request)
    if (dateMs === null) return refuse('the date is missing, malformed or too far from now')
    const hasBody = request.isChunked || (request.contentLength ?? 0) > 0
    if (hasBody && request.headers.get('content-digest') === undefined) return refuse('a body without content-digest')

    const secret = this.#secrets.get(id)
    const want = createHmac('sha256', secret ?? this.#nobody).update(signedText(request, nonce)).digest()
    const isRight = timingSafeEqual(Buffer.from(signature, 'base64'), want)
    if (!isRight || secret === undefined) return refuse('unknown key or wrong signature')
    // Last: only who has a secret can take places in the table.
    const claim = this.#deps.nonces.claim(`${this.name}\n${id}\n${nonce}`, this.#deps.epochMs(), dateMs + this.#clockSkewMs)
    if (claim === 'full') return new Failure('GW_AUTH_UNAVAILABLE', 'hmac: too many nonces are in use; raise maxNonces')
    return claim === 'seen' ? refuse('a nonce that was used before') : this.#identities.get(id)!
  }

  /** A signature holds for one request: the upstream can make no other of it. */
  takeCredential(): void {}

  #dateOf({ headers }: RequestHead): number | null {
    const text = headers.get('x-date') ?? headers.get('date') ?? ''
    const dateMs = IS_DATE.test(text) ? Date.parse(text) : NaN
    return Math.abs(dateMs - this.#deps.epochMs()) <= this.#clockSkewMs ? dateMs : null
  }
}

function refuse(reason: string): Failure {
  return new Failure('GW_UNAUTHENTICATED', `hmac: ${reason}`)
}
