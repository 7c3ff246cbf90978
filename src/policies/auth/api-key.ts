import { Failure } from '../../base/failure.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import type { Consumer, PolicyExchange } from '../policy.ts'
import { type Admitted, type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import { type CredentialPlace, credentialPlace } from './credential-place.ts'
import { IdentityBuilder } from './identity-builder.ts'
import type { IdentityDirectory } from './identity-directory.ts'

const MAX_KEY_CHARS = 1024
/** In Authorization a key has a scheme before it. */
const SCHEME = /^(?:apikey|bearer) +(.*)$/i

/**
 * Admits who has the key of a consumer. The directory knows digests only; it answers at once, so there is no cache that
 * could go on admitting a key that is gone, or answer sooner for a key that is known.
 *
 * Failures: GW_UNAUTHENTICATED.
 */
export class ApiKeyAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #directory: IdentityDirectory
  readonly #place: CredentialPlace
  readonly #hasScheme: boolean
  readonly #forwardsCredential: boolean
  readonly #builder: IdentityBuilder
  /** One object a consumer, made when it first calls; gone with it. */
  readonly #admitted = new WeakMap<Consumer, Admitted>()

  constructor(name: string, config: AuthenticatorOf<'api-key'>, deps: { readonly directory: IdentityDirectory }) {
    this.name = name
    // No scheme is registered for keys in a header of their own; RFC 9110 section 15.5.2 wants a challenge all the same.
    this.challenge = challengeOf('ApiKey', name)
    this.#directory = deps.directory
    this.#place = credentialPlace(config.in)
    this.#hasScheme = config.in.toLowerCase() === 'header:authorization'
    this.#forwardsCredential = config.forwardCredential
    this.#builder = new IdentityBuilder(name, config.setHeaders)
  }

  verify(exchange: PolicyExchange): AuthResult {
    const value = this.#place.read(exchange)
    if (value === undefined) return 'absent'
    const key = this.#hasScheme ? SCHEME.exec(value)?.[1] : value
    if (key === undefined) return 'absent'
    if (key.length > MAX_KEY_CHARS) return new Failure('GW_UNAUTHENTICATED', 'api-key: too long')
    const consumer = this.#directory.byKey(key)
    return consumer === null ? new Failure('GW_UNAUTHENTICATED', 'api-key: unknown or expired') : this.#admit(consumer)
  }

  takeCredential(exchange: PolicyExchange): void {
    if (!this.#forwardsCredential) this.#place.remove(exchange)
  }

  #admit(consumer: Consumer): Admitted {
    let admitted = this.#admitted.get(consumer)
    if (admitted === undefined) this.#admitted.set(consumer, admitted = this.#builder.build({ subject: consumer.id, consumer }))
    return admitted
  }
}
