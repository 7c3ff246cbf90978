/**
 * Headers that concern one connection and are not passed on (RFC 9110 section 7.6.1, and those that RFC 2616 named).
 * `te` and `trailer` are among them: trailers end here in both directions. `proxy-authorization` is meant for a proxy
 * that the client chose, which a gateway is not.
 */
export function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2: return name === 'te'
    case 7: return name === 'upgrade' || name === 'trailer'
    case 10: return name === 'connection' || name === 'keep-alive'
    case 16: return name === 'proxy-connection'
    case 17: return name === 'transfer-encoding'
    case 18: return name === 'proxy-authenticate'
    case 19: return name === 'proxy-authorization'
    default: return false
  }
}

/** The names in a Connection header (or another list of tokens), in lower case. */
export function parseTokenList(value: string): string[] {
  const tokens: string[] = []
  for (const part of value.split(',')) {
    const token = part.trim().toLowerCase()
    if (token !== '') tokens.push(token)
  }
  return tokens
}
