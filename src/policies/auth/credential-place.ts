import { cookieValue } from '../../http/cookie.ts'
import { queryValue } from '../../http/query.ts'
import type { PolicyExchange } from '../policy.ts'

/** Where in a request a credential stands. */
export interface CredentialPlace {
  /** As it was sent; undefined: it is not there. */
  read(exchange: PolicyExchange): string | undefined
  remove(exchange: PolicyExchange): void
}

/** `place`: header:NAME, query:NAME or cookie:NAME. */
export function credentialPlace(place: string): CredentialPlace {
  const colon = place.indexOf(':')
  const name = place.slice(colon + 1)
  switch (place.slice(0, colon)) {
    case 'query': return inQuery(name)
    case 'cookie': return inCookie(name)
    default: return inHeader(name.toLowerCase())
  }
}

function inHeader(name: string): CredentialPlace {
  return {
    // Two lines come joined by a comma, which no credential survives: what is ambiguous is refused.
    read: ({ request }) => request.headers.get(name),
    remove: ({ request }) => request.headers.remove(name),
  }
}

function inQuery(name: string): CredentialPlace {
  return {
    read: ({ request }) => queryValue(request.query, name),
    remove: ({ request }) => {
      // The router has seen the query as it came; the log and the upstream see it without the key.
      if (request.query !== '') request.query = request.query.split('&').filter(pair => nameOf(pair) !== name).join('&')
    },
  }
}

function inCookie(name: string): CredentialPlace {
  return {
    read: ({ request }) => {
      const header = request.headers.get('cookie')
      return header === undefined ? undefined : cookieValue(header, name)
    },
    remove: ({ request }) => {
      const header = request.headers.get('cookie')
      if (header === undefined) return
      const kept = header.split(';').map(pair => pair.trim()).filter(pair => pair.split('=', 1)[0]!.trim() !== name)
      if (kept.length === 0) request.headers.remove('cookie')
      else request.headers.set('cookie', kept.join('; '))
    },
  }
}

/** Of one pair of a query, decoded the way `queryValue` does, so that no spelling of the name is passed over. */
function nameOf(pair: string): string {
  const [name = ''] = pair.split('=', 1)
  return /[%+]/.test(name) ? new URLSearchParams(`&${pair}`).keys().next().value ?? '' : name
}
