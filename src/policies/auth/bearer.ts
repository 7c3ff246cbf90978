/** As many characters as a token may have: what is longer is refused unread. Heads are bounded besides. */
export const MAX_TOKEN_CHARS = 8192

/**
 * The token in the value of a header or cookie; 'absent' when the value is of another scheme. A header of its own or a
 * cookie may hold the token without `Bearer`; Authorization may not.
 * Source: RFC 6750 section 2.1; the scheme is compared without regard to case (RFC 9110 section 11.1).
 */
export function bearerToken(value: string, needsScheme: boolean): string | 'absent' {
  // The usual spelling first: this is on the way of every request.
  if (value.startsWith('Bearer ') && value.charCodeAt(7) !== 0x20) return value.slice(7)
  return /^bearer +(.*)$/i.exec(value)?.[1] ?? (needsScheme ? 'absent' : value)
}
