import { cookieValue } from '../http/cookie.ts'
import type { RequestHead } from '../http/message.ts'
import { queryValue } from '../http/query.ts'

/** What a key can be taken from; an exchange of a policy is one. */
export interface KeyedRequest {
  readonly request: Pick<RequestHead, 'host' | 'query' | 'headers'>
  /** Without a port; behind trusted proxies the client's. */
  readonly clientIp: string
  /** Of the match, as it stands in the normalised path; undefined when the pattern has no such name. */
  parameter(name: string): string | undefined
}

/** The value that a request has under a key; undefined without one. What is there and empty is a value. */
export type RequestKey = (request: KeyedRequest) => string | undefined

/**
 * Compiles `ip`, `header:NAME`, `cookie:NAME`, `query:NAME` or `param:NAME` of the document. A value is as long as the
 * bounds on the head let it be. Lines of one name are one value; of several cookies or query parameters of one name the
 * first counts; query values are decoded as for the conditions of a match, parameters are not. `header:host` is the Host
 * header as it came. Throws for any other key.
 */
export function compileKey(key: string): RequestKey {
  if (key === 'ip') return ({ clientIp }) => clientIp
  const colon = key.indexOf(':')
  const name = key.slice(colon + 1)
  switch (key.slice(0, colon)) {
    case 'header': return headerKey(name.toLowerCase())
    case 'cookie': return ({ request }) => {
      const header = request.headers.get('cookie')
      return header === undefined ? undefined : cookieValue(header, name)
    }
    case 'query': return ({ request }) => queryValue(request.query, name)
    case 'param': return request => request.parameter(name)
    default: throw new Error(`key '${key}' must be ip, or header:NAME, cookie:NAME, query:NAME or param:NAME`)
  }
}

const compiled = new Map<string, RequestKey>()

/** Compiled once a thread; keys come from documents, so there are few. */
export function keyOf(key: string): RequestKey {
  let found = compiled.get(key)
  if (found === undefined) compiled.set(key, found = compileKey(key))
  return found
}

function headerKey(name: string): RequestKey {
  // It stands in a field of the head, not among its lines.
  return name === 'host' ? ({ request }) => request.host : ({ request }) => request.headers.get(name)
}
