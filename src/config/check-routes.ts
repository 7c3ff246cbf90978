import { checkAccess } from './check-access.ts'
import { checkDestination } from './check-destination.ts'
import { checkHeaderName, checkHeaderTemplates, checkRequestPath, isTakenOut } from './check-headers.ts'
import { checkLimits, checkMaxConcurrent } from './check-limits.ts'
import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import { type Path, valueAt } from './pointer.ts'
import { findConflicts } from './route-conflicts.ts'
import { parseHostPattern, parsePathPattern } from './route-pattern.ts'
import type { RouteConfig } from './schema.ts'

/** What of the document the checks of routes need besides the routes. */
export type RouteChecks = {
  /** The document as it was read: names of headers stand in it as they were written. */
  readonly root: unknown
  readonly list: FindingList
  /** Routes with a key at their own level that was refused already: it may have been meant as their destination. */
  readonly unsureRoutes: ReadonlySet<number>
}

/** Names, patterns, destinations and templates of all routes, and routes that could both win. */
export function checkRoutes({ routes, upstreams, authenticators }: Checkable, checks: RouteChecks): void {
  const firsts = new Map<string, number>()
  const matchable: { route: RouteConfig; index: number }[] = []
  routes.forEach((route, index) => {
    if (route === undefined) return
    const { list, unsureRoutes } = checks
    const first = firsts.get(route.id)
    if (first === undefined) firsts.set(route.id, index)
    else list.add(['routes', index, 'id'], `id ${list.quote(['routes', index, 'id'], route.id)} is taken by /routes/${first}: choose another`)
    checkDestination(route, index, upstreams, list, unsureRoutes.has(index))
    checkAccess(route, index, authenticators, list)
    if (checkMatch(route, index, checks)) matchable.push({ route, index })
    checkChanges(route, index, checks)
    checkLimits(route, index, list)
    checkMaxConcurrent(route, index, list)
    if (route.mock !== undefined) checkMock(route.mock, index, checks)
  })
  checkConflicts(matchable, checks.list)
}

/** False when a pattern can't be used. */
function checkMatch({ match }: RouteConfig, index: number, { root, list }: RouteChecks): boolean {
  let isUsable = true
  const complain = (path: Path, text: string, what: string, problem: string): void => {
    isUsable = false
    list.add(path, `${what} ${list.quote(path, text)}: ${list.hasVariable(path) ? 'can\'t be used as a pattern' : problem}`)
  }
  const path = ['routes', index, 'match']
  const pattern = parsePathPattern(match.path)
  if ('problem' in pattern) complain([...path, 'path'], match.path, 'path', pattern.problem)
  match.hosts?.forEach((host, hostIndex) => {
    const parsed = parseHostPattern(host)
    if ('problem' in parsed) complain([...path, 'hosts', hostIndex], host, 'host', parsed.problem)
  })
  const written = valueAt(root, path)
  checkHeaderRecord(match.headers, valueAt(written, ['headers']), [...path, 'headers'], list, (name, place) => {
    const remedy = name === 'host' ? 'use match.hosts' : 'remove it'
    if (isTakenOut(name)) list.add(place, `'${name}' can't be a condition: ${remedy}`, 'key')
  })
  checkPrototypeName(valueAt(written, ['query']), [...path, 'query'], list)
  return isUsable
}

function checkChanges(route: RouteConfig, index: number, { root, list }: RouteChecks): void {
  const parameters = Array.from(route.match.path.matchAll(/\{([^{}]+?)\+?\}/g), found => found[1]!)
  if (route.request.path !== undefined) checkRequestPath(route.request.path, parameters, ['routes', index, 'request', 'path'], list)
  const written = valueAt(root, ['routes', index])
  for (const side of ['request', 'response'] as const) {
    const { set, remove } = route[side].headers
    const path = ['routes', index, side, 'headers']
    checkHeaderRecord(set, valueAt(written, [side, 'headers', 'set']), [...path, 'set'], list, (name, place) => {
      checkHeaderName(name, side, place, list, 'key')
      checkHeaderTemplates(set[name]!, { parameters, hasAuth: route.auth !== undefined }, place, list)
    })
    remove.forEach((name, place) => checkHeaderName(name, side, [...path, 'remove', place], list, 'value'))
  }
}

function checkMock({ status, headers, body }: NonNullable<RouteConfig['mock']>, index: number, { root, list }: RouteChecks): void {
  const path = ['routes', index, 'mock']
  checkHeaderRecord(headers, valueAt(root, [...path, 'headers']), [...path, 'headers'], list, (name, place) => {
    checkHeaderName(name, 'response', place, list, 'key')
  })
  // RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5: these end with their head.
  if (body !== '' && (status === 204 || status === 205 || status === 304)) {
    list.add([...path, 'body'], `an answer with status ${status} has no body: remove it, or choose another status`)
  }
}

/**
 * Calls `each` with every header of a record and its place. `written` is the record as it was read: the schema puts
 * names into lower case, where two of them may fall together, and leaves `__proto__` out.
 */
function checkHeaderRecord(
  headers: Readonly<Record<string, string>>, written: unknown, path: Path, list: FindingList, each: (name: string, place: Path) => void,
): void {
  if (typeof written !== 'object' || written === null) return
  checkPrototypeName(written, path, list)
  const seen = new Map<string, string>()
  for (const key of Object.keys(written)) {
    const name = key.toLowerCase()
    const first = seen.get(name)
    seen.set(name, key)
    if (first !== undefined) list.add([...path, key], `'${key}' is the same header as '${first}': keep one`, 'key')
    else if (Object.hasOwn(headers, name)) each(name, [...path, key])
  }
}

export function checkPrototypeName(written: unknown, path: Path, list: FindingList): void {
  if (typeof written !== 'object' || written === null || !Object.hasOwn(written, '__proto__')) return
  list.add([...path, '__proto__'], '\'__proto__\' can\'t be used as a name: choose another', 'key')
}

function checkConflicts(matchable: readonly { route: RouteConfig; index: number }[], list: FindingList): void {
  for (const { first, second, exampleUrl, exampleMethod } of findConflicts(matchable.map(({ route }) => route))) {
    const winner = matchable[first]!.index
    const path = ['routes', matchable[second]!.index, 'match']
    const isSecret = list.hasVariable(path) || list.hasVariable(['routes', winner, 'match'])
    const id = list.quote(['routes', winner, 'id'], matchable[first]!.route.id)
    list.add(path, `could win as well as route ${id} (/routes/${winner})${isSecret ? '' : `, for example for ${exampleMethod} ${exampleUrl}`}: make one of them more specific`)
  }
}
