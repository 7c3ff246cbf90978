/**
 * `key`: the digest of an API key. `consumer`: an id. `jti`: that claim of a token, with its issuer where ids of several could meet.
 * `before`: all that was issued before `atMs`; `value` is the authenticator that this is about, or empty for all.
 */
export const REVOCATION_KINDS = ['key', 'consumer', 'jti', 'before'] as const
export type RevocationKind = typeof REVOCATION_KINDS[number]

export type Revocation = {
  readonly kind: RevocationKind
  /** At most 1024 characters. */
  readonly value: string
  /** Since when, in milliseconds since 1970. */
  readonly atMs: number
  /** When it may be forgotten, since nothing that it is about is valid any more; in milliseconds since 1970. */
  readonly expiresAtMs: number
}

const MAX_VALUE_LENGTH = 1024
/** The last millisecond that a Date has. */
const MAX_TIME_MS = 8_640_000_000_000_000

/** What tells one revocation from others; how long it is kept is no part of it. */
export function revocationMember({ kind, value, atMs }: Revocation): string {
  return JSON.stringify([kind, value, atMs])
}

/** Reads what `revocationMember` made; null: it is none. */
export function parseRevocation(member: unknown, expiresAtMs: unknown): Revocation | null {
  if (typeof member !== 'string' || !isTime(expiresAtMs)) return null
  let parts: unknown
  try {
    parts = JSON.parse(member)
  } catch {
    return null
  }
  if (!Array.isArray(parts) || parts.length !== 3) return null
  const [kind, value, atMs] = parts as unknown[]
  if (!REVOCATION_KINDS.includes(kind as RevocationKind) || typeof value !== 'string' || value.length > MAX_VALUE_LENGTH || !isTime(atMs)) return null
  return { kind: kind as RevocationKind, value, atMs, expiresAtMs }
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= MAX_TIME_MS
}
