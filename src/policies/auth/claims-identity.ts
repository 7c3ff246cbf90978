import type { Admitted } from './authenticator.ts'
import { claimText, IdentityBuilder, scopesOf } from './identity-builder.ts'
import type { IdentityDirectory } from './identity-directory.ts'

/** What a token says, verified, and who that is in one directory. */
export type VerifiedClaims = {
  readonly claims: Readonly<Record<string, unknown>>
  /** As found in `directory`, which a reload replaces; the token need not be verified again then. */
  admitted: Admitted | null
  directory: IdentityDirectory | null
  generation: number
}

export function verifiedClaims(claims: Readonly<Record<string, unknown>>): VerifiedClaims {
  return { claims: Object.freeze(claims), admitted: null, directory: null, generation: 0 }
}

/** Who the claims of one authenticator's tokens are. */
export class ClaimsIdentities {
  readonly #consumerClaim: string
  readonly #directory: IdentityDirectory
  readonly #builder: IdentityBuilder

  constructor(name: string, config: { readonly consumerClaim: string; readonly setHeaders: Readonly<Record<string, string>> }, directory: IdentityDirectory) {
    this.#consumerClaim = config.consumerClaim
    this.#directory = directory
    this.#builder = new IdentityBuilder(name, config.setHeaders)
  }

  of(token: VerifiedClaims): Admitted {
    if (token.admitted !== null && token.directory === this.#directory && token.generation === this.#directory.generation) return token.admitted
    token.directory = this.#directory
    token.generation = this.#directory.generation
    return token.admitted = this.#build(token.claims)
  }

  #build(claims: Readonly<Record<string, unknown>>): Admitted {
    const id = claimText(claims, this.#consumerClaim)
    return this.#builder.build({ subject: claimText(claims, 'sub') || id, consumer: this.#directory.byId(id), scopes: scopesOf(claims), claims })
  }
}
