import { parseHostPattern, parsePathPattern, type PathPattern } from './route-pattern.ts'
import type { RouteConfig } from './schema.ts'

/** Two routes (by index) of which neither comes before the other for some request, with such a request. */
export type RouteConflict = {
  readonly first: number
  readonly second: number
  readonly exampleUrl: string
  readonly exampleMethod: string
}

type Candidate = { readonly index: number; readonly route: RouteConfig; readonly pattern: PathPattern }

/**
 * Finds routes that could both win: same host pattern, same shape of path, methods that overlap, and equally many
 * conditions that do not exclude each other. Routes are compared only where host and shape are the same, so a
 * document of many different paths costs no more than reading it.
 */
export function findConflicts(routes: readonly RouteConfig[]): RouteConflict[] {
  const conflicts: RouteConflict[] = []
  const buckets = new Map<string, Candidate[]>()
  const reported = new Set<string>()
  routes.forEach((route, index) => {
    const pattern = parsePathPattern(route.match.path)
    if ('problem' in pattern) return
    const candidate = { index, route, pattern }
    const shape = shapeOf(pattern)
    for (const host of new Set(hostKeys(route))) {
      const key = `${conditionCount(route)} ${host} ${shape}`
      const bucket = buckets.get(key)
      if (bucket === undefined) {
        buckets.set(key, [candidate])
        continue
      }
      for (const other of bucket) {
        const method = commonMethod(other.route, route)
        if (method === null || excludeEachOther(other.route, route) || reported.has(`${other.index} ${index}`)) continue
        reported.add(`${other.index} ${index}`)
        conflicts.push({ first: other.index, second: index, exampleUrl: exampleUrl(host, pattern, other.route, route), exampleMethod: method })
      }
      bucket.push(candidate)
    }
  })
  return conflicts
}

function hostKeys({ match }: RouteConfig): string[] {
  return match.hosts?.map(text => {
    const host = parseHostPattern(text)
    if ('problem' in host) return text
    return host.kind === 'exact' ? host.name : `*${host.suffix}`
  }) ?? ['']
}

function shapeOf({ segments }: PathPattern): string {
  return segments.map(segment => (segment.kind === 'literal' ? `/${segment.text}` : segment.kind === 'one' ? '/{}' : '/{+}')).join('')
}

export function conditionCount({ match }: RouteConfig): number {
  return Object.keys(match.headers).length + Object.keys(match.query).length
}

/** A method that both take, or null. A route for GET answers HEAD too, but after one that names HEAD itself. */
function commonMethod(a: RouteConfig, b: RouteConfig): string | null {
  if (a.match.methods === undefined) return b.match.methods?.[0] ?? 'GET'
  if (b.match.methods === undefined) return a.match.methods[0]!
  return a.match.methods.find(method => b.match.methods!.includes(method)) ?? null
}

function excludeEachOther(a: RouteConfig, b: RouteConfig): boolean {
  const differs = (x: Record<string, string>, y: Record<string, string>): boolean =>
    Object.entries(x).some(([name, value]) => Object.hasOwn(y, name) && y[name] !== value)
  return differs(a.match.headers, b.match.headers) || differs(a.match.query, b.match.query)
}

function exampleUrl(host: string, { segments }: PathPattern, a: RouteConfig, b: RouteConfig): string {
  const name = host === '' ? 'any.example' : host.startsWith('*') ? `any${host.slice(1)}` : host
  const path = segments.map(segment => (segment.kind === 'literal' ? segment.text : segment.name)).join('/')
  const query = new URLSearchParams({ ...a.match.query, ...b.match.query }).toString()
  return `http://${name}/${path}${query === '' ? '' : `?${query}`}`
}
