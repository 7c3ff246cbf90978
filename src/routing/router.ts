import { conditionCount } from '../config/route-conflicts.ts'
import { parseHostPattern, parsePathPattern } from '../config/route-pattern.ts'
import type { RouteConfig } from '../config/schema.ts'

export type MatchOutcome = 'matched' | 'noRoute' | 'methodNotAllowed'

/** Where `match` puts what it finds; used again and again, so that a match allocates nothing but parameters. */
export class RouteMatch<T> {
  target: T | null = null
  parameterNames: readonly string[] = []
  /** As they stand in the normalised path. Only the first `parameterNames.length` count. */
  parameterValues: string[] = []
  /** With `methodNotAllowed`: the methods that would have matched, sorted. */
  allow: readonly string[] = []
}

type Candidate<T> = {
  readonly target: T
  /** null: any. */
  readonly methods: ReadonlySet<string> | null
  readonly headers: readonly (readonly [string, string])[] | null
  readonly query: readonly (readonly [string, string])[] | null
  readonly conditions: number
  readonly parameterNames: readonly string[]
}

/** One place in the tree of segments; what it has not costs a null. */
class Node<T> {
  literals: Map<string, Node<T>> | null = null
  one: Node<T> | null = null
  /** Routes that end here, and those that take the rest from here; more conditions first. */
  ends: Candidate<T>[] | null = null
  rests: Candidate<T>[] | null = null
}

type HeaderLookup = { get(name: string): string | undefined }

/** Collects routes, one at a time: a worker adds tens of thousands between exchanges. */
export class RouterBuilder<T> {
  readonly #exact = new Map<string, Node<T>>()
  readonly #wildcards = new Map<string, Node<T>>()
  #any: Node<T> | null = null

  /** `route` has been validated; patterns that could both win are refused there. */
  add(route: RouteConfig, target: T): void {
    const { match } = route
    const pattern = parsePathPattern(match.path)
    if ('problem' in pattern) throw new Error(`path '${match.path}' ${pattern.problem}`)
    const headers = Object.entries(match.headers)
    const query = Object.entries(match.query)
    const candidate: Candidate<T> = {
      target,
      methods: match.methods === undefined ? null : new Set(match.methods),
      headers: headers.length === 0 ? null : headers,
      query: query.length === 0 ? null : query,
      conditions: conditionCount(route),
      parameterNames: pattern.parameters,
    }
    for (const root of this.#roots(match.hosts)) {
      let node = root
      let isRest = false
      for (const segment of pattern.segments) {
        if (segment.kind === 'literal') {
          node.literals ??= new Map()
          let next = node.literals.get(segment.text)
          if (next === undefined) node.literals.set(segment.text, next = new Node())
          node = next
        } else if (segment.kind === 'one') node = node.one ??= new Node()
        else isRest = true
      }
      insert(isRest ? node.rests ??= [] : node.ends ??= [], candidate)
    }
  }

  build(): Router<T> {
    return new Router(this.#exact, this.#wildcards, this.#any)
  }

  #roots(hosts: readonly string[] | undefined): Node<T>[] {
    if (hosts === undefined) return [this.#any ??= new Node()]
    return [...new Set(hosts)].map(text => {
      const host = parseHostPattern(text)
      if ('problem' in host) throw new Error(`host '${text}' ${host.problem}`)
      const roots = host.kind === 'exact' ? this.#exact : this.#wildcards
      const name = host.kind === 'exact' ? host.name : host.suffix
      let root = roots.get(name)
      if (root === undefined) roots.set(name, root = new Node())
      return root
    })
  }
}

/** More conditions first; routes with equally many exclude each other. */
function insert<T>(candidates: Candidate<T>[], candidate: Candidate<T>): void {
  const index = candidates.findIndex(other => other.conditions < candidate.conditions)
  candidates.splice(index < 0 ? candidates.length : index, 0, candidate)
}

/**
 * Finds the route of a request: host exact, then wildcard (the longest first), then any; then, segment by segment, literal,
 * `{id}`, `{rest+}`; then more conditions. A route that does not match by method or condition hides no other.
 * A route for GET answers HEAD where none names HEAD or takes any method.
 *
 * The cost grows with the segments of the path, not with the number of routes. A document in which literals and
 * parameters stand side by side at many levels can make a path try several ways: at most one visit for each place in the
 * tree that matches the path so far.
 */
export class Router<T> {
  readonly #exact: ReadonlyMap<string, Node<T>>
  readonly #wildcards: ReadonlyMap<string, Node<T>>
  readonly #any: Node<T> | null
  // The request at hand; a thread matches one at a time, and fields cost less than arguments passed down a recursion.
  #method = ''
  #path = ''
  #query = ''
  #parsedQuery: URLSearchParams | null = null
  #headers: HeaderLookup = NO_HEADERS
  #values: string[] = []
  /** Methods of routes that match but for the method; null until there is one. */
  #allow: Set<string> | null = null

  constructor(exact: ReadonlyMap<string, Node<T>>, wildcards: ReadonlyMap<string, Node<T>>, any: Node<T> | null) {
    this.#exact = exact
    this.#wildcards = wildcards
    this.#any = any
  }

  /** `path` is normalised; `host` the Host header; `query` raw, without its question mark. */
  match(method: string, host: string, path: string, query: string, headers: HeaderLookup, into: RouteMatch<T>): MatchOutcome {
    this.#path = path
    this.#query = query
    this.#parsedQuery = null
    this.#headers = headers
    this.#values = into.parameterValues
    this.#allow = null
    this.#method = method
    let found = this.#search(host)
    if (found === null && method === 'HEAD') {
      this.#method = 'GET'
      found = this.#search(host)
    }
    if (found !== null) {
      into.target = found.target
      into.parameterNames = found.parameterNames
      return 'matched'
    }
    into.target = null
    if (this.#allow === null) return 'noRoute'
    const allow: Set<string> = this.#allow
    if (allow.has('GET')) allow.add('HEAD')
    into.allow = [...allow].sort()
    return 'methodNotAllowed'
  }

  #search(host: string): Candidate<T> | null {
    if (this.#exact.size > 0 || this.#wildcards.size > 0) {
      const name = hostName(host)
      const exact = this.#exact.get(name)
      const found = exact === undefined ? null : this.#walk(exact, 1, 0)
      if (found !== null) return found
      if (this.#wildcards.size > 0) {
        for (let dot = name.indexOf('.', 1); dot >= 0; dot = name.indexOf('.', dot + 1)) {
          const wildcard = this.#wildcards.get(name.slice(dot))
          const found = wildcard === undefined ? null : this.#walk(wildcard, 1, 0)
          if (found !== null) return found
        }
      }
    }
    return this.#any === null ? null : this.#walk(this.#any, 1, 0)
  }

  /** `start`: where the next segment begins; beyond the path there is none. `depth`: parameters so far. */
  #walk(node: Node<T>, start: number, depth: number): Candidate<T> | null {
    const path = this.#path
    if (start > path.length) return node.ends === null ? null : this.#choose(node.ends)
    let end = path.indexOf('/', start)
    if (end < 0) end = path.length
    if (node.literals !== null) {
      const next = node.literals.get(path.slice(start, end))
      const found = next === undefined ? null : this.#walk(next, end + 1, depth)
      if (found !== null) return found
    }
    if (node.one !== null && end > start) {
      const found = this.#walk(node.one, end + 1, depth + 1)
      if (found !== null) {
        // Set on the way back: another way may have been tried in between.
        this.#values[depth] = path.slice(start, end)
        return found
      }
    }
    if (node.rests !== null && start < path.length) {
      const found = this.#choose(node.rests)
      if (found !== null) this.#values[depth] = path.slice(start)
      return found
    }
    return null
  }

  #choose(candidates: readonly Candidate<T>[]): Candidate<T> | null {
    for (const candidate of candidates) {
      if (candidate.conditions > 0 && !this.#meets(candidate)) continue
      if (candidate.methods === null || candidate.methods.has(this.#method)) return candidate
      this.#allow ??= new Set()
      for (const method of candidate.methods) this.#allow.add(method)
    }
    return null
  }

  #meets({ headers, query }: Candidate<T>): boolean {
    if (headers !== null && !headers.every(([name, value]) => this.#headers.get(name) === value)) return false
    if (query === null) return true
    const parsed = this.#parsedQuery ??= new URLSearchParams(this.#query)
    return query.every(([name, value]) => parsed.get(name) === value)
  }
}

const NO_HEADERS: HeaderLookup = { get: () => undefined }

/** The name in a Host header: in lower case, without port and final dot. */
function hostName(host: string): string {
  let end = host.length
  if (host.charCodeAt(0) === 0x5b) end = host.indexOf(']') + 1
  else {
    const colon = host.indexOf(':')
    if (colon >= 0) end = colon
    if (host.charCodeAt(end - 1) === 0x2e) end--
  }
  const name = end === host.length ? host : host.slice(0, end)
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i)
    if (code >= 0x41 && code <= 0x5a) return name.toLowerCase()
  }
  return name
}
