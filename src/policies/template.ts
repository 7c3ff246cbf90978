import { queryValue } from '../http/query.ts'
import type { Identity } from './policy.ts'

/** What a template can name. */
export interface TemplateScope {
  readonly identity: Identity | null
  readonly request: { readonly query: string; readonly headers: { get(name: string): string | undefined } }
  readonly requestId: string
  readonly clientIp: string
  parameter(name: string): string | undefined
}

type Piece = string | ((scope: TemplateScope) => string)

// Visible ASCII, space and tab: what can stand in a header whatever it came from.
const IS_HEADER_SAFE = /^[\t\x20-\x7e]*$/

/**
 * Compiles a header value with `{name}`, `{params.name}`, `{query.x}`, `{header.x}`, `{request.id}`, `{client.ip}`,
 * `{consumer.id}`, `{consumer.plan}`, `{claim.name}`. What is missing is empty. Parameters and query values are decoded,
 * unless the decoded text could not stand in a header: a CR or LF in them never ends a line.
 */
export function compileHeaderTemplate(text: string): (scope: TemplateScope) => string {
  return render(parseTemplate(text, name => scope => decodeForHeader(scope.parameter(name) ?? '')))
}

/** Compiles a path with parameters of the match, as they stand in the path that came. */
export function compilePathTemplate(text: string): (scope: TemplateScope) => string {
  return render(parseTemplate(text, name => scope => scope.parameter(name) ?? ''))
}

function parseTemplate(text: string, ofParameter: (name: string) => Piece): Piece[] {
  const pieces: Piece[] = []
  let end = 0
  for (const found of text.matchAll(/\{([^{}]+)\}/g)) {
    if (found.index > end) pieces.push(text.slice(end, found.index))
    pieces.push(pieceOf(found[1]!, ofParameter))
    end = found.index + found[0].length
  }
  if (end < text.length) pieces.push(text.slice(end))
  return pieces
}

function pieceOf(name: string, ofParameter: (name: string) => Piece): Piece {
  if (name === 'request.id') return scope => scope.requestId
  if (name === 'client.ip') return scope => scope.clientIp
  if (name === 'consumer.id') return ({ identity }) => identity?.consumer?.id ?? ''
  if (name === 'consumer.plan') return ({ identity }) => identity?.consumer?.plan ?? ''
  if (name.startsWith('claim.')) {
    const claim = name.slice(6)
    return ({ identity }) => claimForHeader(identity, claim)
  }
  if (name.startsWith('query.')) {
    const key = name.slice(6)
    return scope => queryForHeader(scope.request.query, key)
  }
  if (name.startsWith('header.')) {
    const key = name.slice(7).toLowerCase()
    return scope => scope.request.headers.get(key) ?? ''
  }
  return ofParameter(name.startsWith('params.') ? name.slice(7) : name)
}

function render(pieces: readonly Piece[]): (scope: TemplateScope) => string {
  const [first] = pieces
  if (first === undefined) return () => ''
  if (pieces.length === 1) return typeof first === 'string' ? () => first : first
  return scope => {
    let text = ''
    for (const piece of pieces) text += typeof piece === 'string' ? piece : piece(scope)
    return text
  }
}

function queryForHeader(query: string, key: string): string {
  const value = queryValue(query, key)
  if (value === undefined) return ''
  return safeForHeader(value)
}

/** Texts, numbers, booleans, and lists of them with spaces between; what has more of a form is empty. */
export function claimForHeader(identity: Identity | null, claim: string): string {
  const claims = identity?.claims
  if (claims === undefined || claims === null || !Object.hasOwn(claims, claim)) return ''
  const value = claims[claim]
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.filter(isScalar).map(each => safeForHeader(String(each))).join(' ')
}

const isScalar = (value: unknown): boolean => typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'

/** As it is where it can stand in a header, else percent-encoded. */
export function safeForHeader(value: string): string {
  // Half of a surrogate pair, which JSON can hold, has no escape.
  return IS_HEADER_SAFE.test(value) ? value : encodeURIComponent(value.replace(/\p{Cs}/gu, '\ufffd'))
}

function decodeForHeader(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    const decoded = decodeURIComponent(segment)
    return IS_HEADER_SAFE.test(decoded) ? decoded : segment
  } catch {
    // Escapes of bytes that are not UTF-8.
    return segment
  }
}
