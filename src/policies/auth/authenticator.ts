import type { Failure } from '../../base/failure.ts'
import type { Identity, PolicyExchange } from '../policy.ts'

/** An identity with the headers that tell the upstream of it. Made once a token where tokens are cached. */
export type Admitted = Identity & {
  readonly upstreamHeaders: readonly (readonly [name: string, value: string])[]
}

/**
 * What an authenticator found: who asks, that the request has no credential of its kind, or why the credential does not
 * hold (GW_UNAUTHENTICATED, GW_FORBIDDEN) or can't be looked at now (GW_AUTH_UNAVAILABLE).
 */
export type AuthResult = Admitted | 'absent' | Failure

/** One way to show who asks. Answers with a value where it can; never throws, its promises never reject. */
export interface Authenticator {
  readonly name: string
  /** For WWW-Authenticate (RFC 9110 section 11.6.1); the same whatever was wrong. */
  readonly challenge: string
  verify(exchange: PolicyExchange): AuthResult | Promise<AuthResult>
  /** Takes the credential out of the request, when it is not for the upstream. Called whoever admitted, and also when nobody did. */
  takeCredential(exchange: PolicyExchange): void
}

/** What the policy `auth` needs of a runtime. */
export type AuthDeps = {
  readonly authenticators: ReadonlyMap<string, Authenticator>
  /** Headers that authenticators set, in lower case: no client may send them. */
  readonly identityHeaders: readonly string[]
}

/** Text for a quoted-string of a challenge: names of the document hold nothing that needs an escape. */
export function challengeOf(scheme: string, realm: string): string {
  return `${scheme} realm="${realm}"`
}
