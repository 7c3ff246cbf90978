import type { PolicyExchange } from '../policy.ts'
import { credentialPlace } from './credential-place.ts'

/**
 * Compiles what a decision depends on into one text: equal texts, equal parts. Each part goes with its length, so that no
 * two requests have the same text by where one part ends and the next begins; a missing part is none of any length.
 */
export function compileKey(parts: readonly string[]): (exchange: PolicyExchange) => string {
  const readers = parts.map(readerOf)
  return exchange => {
    let key = ''
    for (const read of readers) {
      const value = read(exchange)
      key += value === undefined ? '-;' : `${value.length}:${value};`
    }
    return key
  }
}

function readerOf(part: string): (exchange: PolicyExchange) => string | undefined {
  switch (part) {
    case 'ip': return ({ clientIp }) => clientIp
    case 'method': return ({ request }) => request.method
    case 'path': return ({ request }) => request.path
    case 'host': return ({ request }) => request.host.toLowerCase()
    default: {
      const place = credentialPlace(part)
      return exchange => place.read(exchange)
    }
  }
}
