import { createHmac, randomBytes } from 'node:crypto'
import { Failure } from '../../base/failure.ts'
import { type PasswordHash, readPasswordHash } from '../../config/password-hash.ts'
import type { AuthenticatorOf } from '../../config/schema-identity.ts'
import type { PolicyExchange } from '../policy.ts'
import { type Admitted, type Authenticator, type AuthResult, challengeOf } from './authenticator.ts'
import { IdentityBuilder } from './identity-builder.ts'
import type { IdentityDirectory } from './identity-directory.ts'
import type { PasswordChecks } from './password-check.ts'
import type { Looked, TokenCache } from './token-cache.ts'

const MAX_CREDENTIAL_CHARS = 1024
const REFUSAL_TTL_MS = 5000
const IS_BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i
/** Keys of caches: a dump of the memory shows no password and nothing that could be guessed through. */
const CACHE_SECRET = randomBytes(32)

/** The cache holds names of users: who they are is looked up in the directory of today. */
export type BasicDeps = {
  readonly directory: IdentityDirectory
  readonly cache: TokenCache<string>
  readonly checks: PasswordChecks
  readonly epochMs: () => number
}

/**
 * Admits users by password. A name that does not exist costs the same run of scrypt as one that does.
 *
 * Failures: GW_UNAUTHENTICATED; GW_AUTH_UNAVAILABLE when too many passwords wait for their turn.
 * Source: RFC 7617.
 */
export class BasicAuthenticator implements Authenticator {
  readonly name: string
  readonly challenge: string
  readonly #config: AuthenticatorOf<'basic'>
  readonly #deps: BasicDeps
  readonly #users: ReadonlyMap<string, PasswordHash>
  /** What nobody's password comes to. */
  readonly #nobody: PasswordHash
  readonly #admitted = new Map<string, Admitted>()
  #generation = 0
  readonly #builder: IdentityBuilder

  constructor(name: string, config: AuthenticatorOf<'basic'>, deps: BasicDeps) {
    this.name = name
    this.challenge = `${challengeOf('Basic', name)}, charset="UTF-8"`
    this.#config = config
    this.#deps = deps
    this.#users = new Map(Object.entries(config.users).map(([user, text]) => [user, readPasswordHash(text)]))
    const [any] = this.#users.values()
    // All users have the same parameters (check-identity.ts).
    this.#nobody = { ...any!, salt: randomBytes(any!.salt.length), hash: randomBytes(any!.hash.length) }
    this.#builder = new IdentityBuilder(name, config.setHeaders)
  }

  verify({ request }: PolicyExchange): AuthResult | Promise<AuthResult> {
    const value = request.headers.get('authorization')
    if (value === undefined || !/^basic /i.test(value)) return 'absent'
    if (value.length > MAX_CREDENTIAL_CHARS) return new Failure('GW_UNAUTHENTICATED', 'basic: too long')
    const { cache, epochMs } = this.#deps
    const key = createHmac('sha256', CACHE_SECRET).update(value).digest('base64url')
    const known = cache.get(key, epochMs())
    if (known !== undefined) return this.#admit(known)
    const loaded = cache.load(key, key, () => this.#look(value), epochMs)
    return loaded instanceof Failure ? loaded : loaded.then(user => (user instanceof Failure ? user : this.#admit(user)))
  }

  takeCredential({ request }: PolicyExchange): void {
    if (this.#config.forwardCredential) return
    const value = request.headers.get('authorization')
    // A token of another authenticator is not ours to take.
    if (value !== undefined && /^basic /i.test(value)) request.headers.remove('authorization')
  }

  async #look(value: string): Promise<Looked<string>> {
    const { checks, epochMs } = this.#deps
    const encoded = IS_BASIC.exec(value)?.[1]
    const text = encoded === undefined ? '' : Buffer.from(encoded, 'base64').toString()
    const colon = text.indexOf(':')
    if (colon < 0) return { value: new Failure('GW_UNAUTHENTICATED', 'basic: malformed'), untilMs: 0 }
    const user = text.slice(0, colon)
    const hash = this.#users.get(user)
    const verdict = await checks.check(text.slice(colon + 1), hash ?? this.#nobody)
    if (verdict === 'busy') return { value: new Failure('GW_AUTH_UNAVAILABLE', 'basic: too many passwords wait for their turn'), untilMs: 0 }
    if (verdict === 'right' && hash !== undefined) return { value: user, untilMs: epochMs() + this.#config.cacheTtlMs }
    return { value: new Failure('GW_UNAUTHENTICATED', 'basic: unknown user or wrong password'), untilMs: epochMs() + REFUSAL_TTL_MS }
  }

  #admit(user: string): Admitted {
    const { generation } = this.#deps.directory
    if (generation !== this.#generation) this.#admitted.clear()
    this.#generation = generation
    let admitted = this.#admitted.get(user)
    if (admitted === undefined) {
      admitted = this.#builder.build({ subject: user, consumer: this.#deps.directory.byId(user) })
      this.#admitted.set(user, admitted)
    }
    return admitted
  }
}
