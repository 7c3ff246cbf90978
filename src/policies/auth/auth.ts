import { Failure } from '../../base/failure.ts'
import type { RouteConfig } from '../../config/schema.ts'
import type { Identity, Policy, PolicyExchange, PolicySpec, Verdict } from '../policy.ts'
import type { Admitted, Authenticator, AuthDeps, AuthResult } from './authenticator.ts'

type AuthConfig = NonNullable<RouteConfig['auth']>

/**
 * Lets a route be asked by those only who show who they are. On a route that is open it still takes away the headers in
 * which authenticators tell the upstream who asks: what serves both routes must be able to believe them.
 *
 * Failures: GW_UNAUTHENTICATED (with WWW-Authenticate), GW_FORBIDDEN (groups, scopes), GW_AUTH_UNAVAILABLE.
 * The answer says nothing of the reason; the access log does, by the failure's cause.
 * Source: RFC 9110 sections 11.6.1 and 15.5.2.
 */
export const auth: PolicySpec = {
  name: 'auth',
  create: (route, deps) => {
    if (route.auth !== undefined) return new Auth(route.auth, deps.auth)
    return deps.auth.identityHeaders.length === 0 ? null : new WithoutIdentity(deps.auth.identityHeaders)
  },
}

class WithoutIdentity implements Policy {
  readonly #identityHeaders: readonly string[]

  constructor(identityHeaders: readonly string[]) {
    this.#identityHeaders = identityHeaders
  }

  onRequest({ request }: PolicyExchange): Verdict {
    for (const name of this.#identityHeaders) request.headers.remove(name)
    return null
  }
}

export class Auth implements Policy {
  readonly #allOf: readonly Authenticator[]
  readonly #anyOf: readonly Authenticator[]
  readonly #all: readonly Authenticator[]
  readonly #groups: readonly string[]
  readonly #scopes: readonly string[]
  readonly #identityHeaders: readonly string[]
  readonly #challenges: readonly string[]

  constructor({ allOf = [], anyOf = [], groups, scopes }: AuthConfig, { authenticators, identityHeaders }: AuthDeps) {
    const find = (name: string): Authenticator => {
      const found = authenticators.get(name)
      if (found === undefined) throw new Error(`authenticator '${name}' is not defined`)
      return found
    }
    this.#allOf = allOf.map(find)
    this.#anyOf = anyOf.map(find)
    this.#all = [...new Set([...this.#allOf, ...this.#anyOf])]
    if (this.#all.length === 0) throw new Error('a route with auth needs an authenticator')
    this.#groups = groups
    this.#scopes = scopes
    this.#identityHeaders = identityHeaders
    this.#challenges = [...new Set(this.#all.map(({ challenge }) => challenge))]
  }

  onRequest(exchange: PolicyExchange): Verdict | Promise<Verdict> {
    // Before anybody is asked: a service that decides must not see them either.
    for (const name of this.#identityHeaders) exchange.request.headers.remove(name)
    if (this.#allOf.length === 0) return this.#askAny(exchange, 0, null, null)
    return this.#askAll(exchange, 0, null)
  }

  /** `found`: whom those before admitted. */
  #askAll(exchange: PolicyExchange, from: number, found: Admitted | null): Verdict | Promise<Verdict> {
    let admitted = found
    for (let i = from; i < this.#allOf.length; i++) {
      const result = this.#allOf[i]!.verify(exchange)
      if (result instanceof Promise) {
        const before = admitted
        return result.then(late => {
          const next = joined(before, late)
          return next instanceof Failure ? this.#refuse(exchange, next) : this.#askAll(exchange, i + 1, next)
        })
      }
      const next = joined(admitted, result)
      if (next instanceof Failure) return this.#refuse(exchange, next)
      admitted = next
    }
    return this.#anyOf.length === 0 ? this.#admit(exchange, admitted!) : this.#askAny(exchange, 0, admitted, null)
  }

  /** `worst`: why those before did not admit; null: the request had no credential for them. */
  #askAny(exchange: PolicyExchange, from: number, found: Admitted | null, worst: Failure | null): Verdict | Promise<Verdict> {
    let failure = worst
    for (let i = from; i < this.#anyOf.length; i++) {
      const result = this.#anyOf[i]!.verify(exchange)
      if (result instanceof Promise) {
        const before = failure
        return result.then(late => {
          if (late === 'absent' || late instanceof Failure) return this.#askAny(exchange, i + 1, found, worse(before, late))
          return this.#admitJoined(exchange, found, late)
        })
      }
      if (result !== 'absent' && !(result instanceof Failure)) return this.#admitJoined(exchange, found, result)
      failure = worse(failure, result)
    }
    return this.#refuse(exchange, failure ?? new Failure('GW_UNAUTHENTICATED', 'no credential'))
  }

  #admitJoined(exchange: PolicyExchange, found: Admitted | null, late: Admitted): Verdict {
    const both = joined(found, late)
    return both instanceof Failure ? this.#refuse(exchange, both) : this.#admit(exchange, both)
  }

  #admit(exchange: PolicyExchange, identity: Admitted): Verdict {
    const missing = this.#missing(identity)
    if (missing !== null) return this.#refuse(exchange, new Failure('GW_FORBIDDEN', missing))
    for (const authenticator of this.#all) authenticator.takeCredential(exchange)
    for (const [name, value] of identity.upstreamHeaders) exchange.request.headers.set(name, value)
    exchange.identity = identity
    return null
  }

  /** What the caller lacks, for the log; null: nothing. */
  #missing({ consumer, scopes }: Identity): string | null {
    if (this.#groups.length > 0 && (consumer === null || !this.#groups.some(group => consumer.groups.includes(group)))) return 'not in a group of the route'
    for (const scope of this.#scopes) if (!scopes.includes(scope)) return 'lacks a scope of the route'
    return null
  }

  #refuse(exchange: PolicyExchange, failure: Failure): Failure {
    // The log may show the query: no credential stays in it.
    for (const authenticator of this.#all) authenticator.takeCredential(exchange)
    if (failure.status === 401) for (const challenge of this.#challenges) exchange.addResponseHeader('www-authenticate', challenge)
    return failure
  }
}

/** Of two reasons the one that leaves most open: what can't be told now may be right, a known caller is told that it has no right. */
function worse(before: Failure | null, result: 'absent' | Failure): Failure | null {
  if (result === 'absent') return before
  if (before === null || result.code === 'GW_AUTH_UNAVAILABLE') return result
  return before.code === 'GW_UNAUTHENTICATED' && result.code === 'GW_FORBIDDEN' ? result : before
}

/**
 * Two that must both admit, as one: the first speaks for both, but for a consumer, claims or a subject that only the
 * second knows; scopes and headers are those of both. Credentials of two consumers are none of either.
 */
function joined(first: Admitted | null, result: AuthResult): Admitted | Failure {
  if (result === 'absent') return new Failure('GW_UNAUTHENTICATED', 'a credential is missing')
  if (first === null || result instanceof Failure) return result
  if (first.consumer !== null && result.consumer !== null && first.consumer.id !== result.consumer.id) {
    return new Failure('GW_FORBIDDEN', 'credentials of two consumers')
  }
  const main = first.consumer === null && result.consumer !== null ? result : first
  return {
    authenticator: main.authenticator,
    subject: main.subject || first.subject || result.subject,
    consumer: main.consumer,
    scopes: [...new Set([...first.scopes, ...result.scopes])],
    claims: first.claims ?? result.claims,
    upstreamHeaders: [...first.upstreamHeaders, ...result.upstreamHeaders],
  }
}
