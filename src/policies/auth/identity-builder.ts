import type { Consumer } from '../policy.ts'
import { claimForHeader, safeForHeader } from '../template.ts'
import type { Admitted } from './authenticator.ts'

/** What an authenticator knows of a caller before it is an identity. */
export type Caller = {
  readonly subject: string
  readonly consumer: Consumer | null
  readonly scopes?: readonly string[]
  readonly claims?: Readonly<Record<string, unknown>> | null
  /** Beside those of `setHeaders`. */
  readonly upstreamHeaders?: readonly (readonly [string, string])[]
}

const NO_SCOPES: readonly string[] = Object.freeze([])

/** Makes identities of one authenticator, with the headers of its `setHeaders`. */
export class IdentityBuilder {
  readonly #name: string
  readonly #headers: readonly (readonly [string, string])[]

  constructor(name: string, setHeaders: Readonly<Record<string, string>>) {
    this.#name = name
    this.#headers = Object.entries(setHeaders)
  }

  build({ subject, consumer, scopes = NO_SCOPES, claims = null, upstreamHeaders = [] }: Caller): Admitted {
    const identity = { authenticator: this.#name, subject, consumer, scopes, claims }
    const own = this.#headers.map(([header, template]): [string, string] => [header, template.replace(/\{([^{}]+)\}/g, (_written, name: string) => {
      if (name === 'subject') return safeForHeader(subject)
      if (name === 'consumer.id') return consumer?.id ?? ''
      if (name === 'consumer.plan') return consumer?.plan ?? ''
      return claimForHeader(identity, name.slice('claim.'.length))
    })])
    return Object.freeze({ ...identity, upstreamHeaders: [...own, ...upstreamHeaders] })
  }
}

/** The scopes of a token: `scope`, a list in one text (RFC 8693 section 4.2), or `scp`, which some issuers write, as a list. */
export function scopesOf(claims: Readonly<Record<string, unknown>>): readonly string[] {
  const value = claims.scope ?? claims.scp
  if (typeof value === 'string') return value.split(' ').filter(scope => scope !== '')
  return Array.isArray(value) ? value.filter(scope => typeof scope === 'string') : NO_SCOPES
}

/** A claim that names somebody: text or a number; '' without one. */
export function claimText(claims: Readonly<Record<string, unknown>>, name: string): string {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return typeof value === 'string' || typeof value === 'number' ? String(value) : ''
}
