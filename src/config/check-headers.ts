import { isHopByHop } from '../http/header-names.ts'
import type { FindingList } from './finding-list.ts'
import type { Path } from './pointer.ts'

/** Which head a header is to stand in. */
export type HeadSide = 'request' | 'response'

/** Names that the gateway writes itself: a document that could set them could break the framing. */
export function checkHeaderName(name: string, side: HeadSide, path: Path, list: FindingList, at: 'key' | 'value'): void {
  if (name === 'content-length') list.add(path, `'${name}' follows from the body: remove it`, at)
  else if (isHopByHop(name)) list.add(path, `'${name}' concerns one connection and is the gateway's own: remove it`, at)
  else if (side === 'request' && name === 'host') list.add(path, '\'host\' is the endpoint\'s: remove it, or give the upstream preserveHost: true', at)
  else if (side === 'request' && name === 'expect') list.add(path, '\'expect\' is answered by the gateway: remove it', at)
  else if (side === 'response' && name === 'date') list.add(path, '\'date\' is written by the gateway: remove it', at)
}

/** Templates that tell who asks. */
const OF_IDENTITY = /^(?:consumer\.(?:id|plan)|claim\..+)$/

/** Checks the templates of a header value: `{name}` of the match, or something that every request has. */
export function checkHeaderTemplates(value: string, { parameters, hasAuth }: { parameters: readonly string[]; hasAuth: boolean }, path: Path, list: FindingList): void {
  for (const { name, written } of templatesIn(value)) {
    if (name === 'request.id' || name === 'client.ip') continue
    if (OF_IDENTITY.test(name)) {
      if (!hasAuth) list.add(path, `${list.hasVariable(path) ? 'a template' : written} is always empty: nobody is known without 'auth' on the route`)
      continue
    }
    if (/^query\../.test(name)) continue
    if (/^header\.[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) {
      if (isTakenOut(name.slice(7).toLowerCase())) list.add(path, `${written} is always empty: the gateway takes this header out of the request`)
      continue
    }
    checkParameter(name, written, parameters, path, list, '{query.x}, {header.x}, {request.id}, {client.ip}, {consumer.id}, {consumer.plan}, {claim.NAME}')
  }
}

/** Headers of a request that no condition and no template sees: they are used up when the request is read. */
export function isTakenOut(name: string): boolean {
  return name === 'host' || name === 'content-length' || isHopByHop(name)
}

const PATH_TEXT = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*$/

/**
 * Checks a path for the upstream. It takes parameters of the match only: they stand in it as they came, normalised,
 * while a query or header value could hold a space or a question mark and so change the request line.
 */
export function checkRequestPath(value: string, parameters: readonly string[], path: Path, list: FindingList): void {
  for (const { name, written } of templatesIn(value)) checkParameter(name, written, parameters, path, list, null)
  const text = value.replace(/\{[^{}]+\}/g, 'x')
  if (/[{}]/.test(text)) list.add(path, 'a brace without its counterpart, or with nothing in it: write {name}')
  else if (text.includes('?')) list.add(path, 'holds a query: remove it; the query of the request is passed on')
  else if (text.includes('#')) list.add(path, 'holds a fragment: remove it')
  else if (!PATH_TEXT.test(text)) list.add(path, 'holds a character that is not allowed in a path: write it as %XX')
  else if (/\/\.{1,2}(?:\/|$)/.test(text.replace(/%2e/gi, '.'))) list.add(path, 'holds a dot segment: write the path that is meant')
}

function checkParameter(name: string, written: string, parameters: readonly string[], path: Path, list: FindingList, others: string | null): void {
  const parameter = name.startsWith('params.') ? name.slice(7) : name
  if (parameters.includes(parameter)) return
  const known = [...parameters.map(each => `{${each}}`), ...(others === null ? [] : [others])].join(', ')
  const remedy = known === '' ? 'match.path has no parameters' : `known here: ${known}`
  list.add(path, list.hasVariable(path) ? `names a parameter that match.path does not have; ${remedy}` : `${written} is not a parameter of match.path; ${remedy}`)
}

function* templatesIn(value: string): Generator<{ name: string; written: string }> {
  if (!value.includes('{')) return
  for (const [written, name = ''] of value.matchAll(/\{([^{}]+)\}/g)) yield { name, written }
}
