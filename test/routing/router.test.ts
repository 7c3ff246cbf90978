import t from 'tap'
import { findConflicts } from '../../src/config/route-conflicts.ts'
import type { RouteConfig } from '../../src/config/schema.ts'
import { RouteMatch, RouterBuilder } from '../../src/routing/router.ts'
import { Random } from '../support/random.ts'

type Match = Partial<RouteConfig['match']> & { path: string }
const route = (id: string, match: Match): RouteConfig => ({ id, match: { headers: {}, query: {}, ...match } }) as RouteConfig

function routerOf(routes: readonly RouteConfig[]) {
  const builder = new RouterBuilder<string>()
  for (const item of routes) builder.add(item, item.id)
  return builder.build()
}

type Request = { method?: string; host?: string; path: string; query?: string; headers?: Record<string, string> }
function find(routes: readonly RouteConfig[], { method = 'GET', host = 'a', path, query = '', headers = {} }: Request) {
  const into = new RouteMatch<string>()
  const outcome = routerOf(routes).match(method, host, path, query, { get: name => headers[name] }, into)
  const parameters = Object.fromEntries(into.parameterNames.map((name, i) => [name, into.parameterValues[i]]))
  return outcome === 'matched' ? { id: into.target, parameters } : outcome === 'methodNotAllowed' ? into.allow : outcome
}

const table: { desc: string; routes: [string, Match][]; request: Request; want: unknown }[] = [
  { desc: 'literal before {id} before {rest+}', routes: [['rest', { path: '/a/{r+}' }], ['one', { path: '/a/{x}' }], ['literal', { path: '/a/b' }]], request: { path: '/a/b' }, want: { id: 'literal', parameters: {} } },
  { desc: '{id} takes one segment', routes: [['one', { path: '/a/{x}' }]], request: { path: '/a/b/c' }, want: 'noRoute' },
  { desc: '{id} takes no empty segment', routes: [['one', { path: '/a/{x}' }]], request: { path: '/a/' }, want: 'noRoute' },
  { desc: '{rest+} takes at least one character', routes: [['rest', { path: '/a/{r+}' }]], request: { path: '/a/' }, want: 'noRoute' },
  { desc: '{rest+} takes slashes', routes: [['rest', { path: '/a/{r+}' }]], request: { path: '/a/b//c/' }, want: { id: 'rest', parameters: { r: 'b//c/' } } },
  { desc: 'a slash at the end is another path', routes: [['a', { path: '/a' }]], request: { path: '/a/' }, want: 'noRoute' },
  { desc: 'the root', routes: [['root', { path: '/' }]], request: { path: '/' }, want: { id: 'root', parameters: {} } },
  { desc: 'goes back when a literal leads nowhere', routes: [['x', { path: '/a/b/c' }], ['y', { path: '/a/{p}/d' }]], request: { path: '/a/b/d' }, want: { id: 'y', parameters: { p: 'b' } } },
  { desc: 'parameters of a way that failed do not stay', routes: [['x', { path: '/{a}/{b}/x' }], ['y', { path: '/{r+}' }]], request: { path: '/1/2/y' }, want: { id: 'y', parameters: { r: '1/2/y' } } },
  { desc: 'exact host before wildcard before any', routes: [['any', { path: '/' }], ['wild', { path: '/', hosts: ['*.b.c'] }], ['exact', { path: '/', hosts: ['a.b.c'] }]], request: { path: '/', host: 'A.B.C:8080' }, want: { id: 'exact', parameters: {} } },
  { desc: 'the longer wildcard', routes: [['short', { path: '/', hosts: ['*.c'] }], ['long', { path: '/', hosts: ['*.b.c'] }]], request: { path: '/', host: 'x.a.b.c.' }, want: { id: 'long', parameters: {} } },
  { desc: 'a wildcard is not its own domain', routes: [['wild', { path: '/', hosts: ['*.b.c'] }]], request: { path: '/', host: 'b.c' }, want: 'noRoute' },
  { desc: 'a host without the path leads on to any host', routes: [['exact', { path: '/x', hosts: ['a'] }], ['any', { path: '/y' }]], request: { path: '/y' }, want: { id: 'any', parameters: {} } },
  { desc: 'more conditions win', routes: [['none', { path: '/' }], ['one', { path: '/', headers: { 'x-a': '1' } }], ['two', { path: '/', headers: { 'x-a': '1' }, query: { q: 'a b' } }]], request: { path: '/', headers: { 'x-a': '1' }, query: 'q=a+b' }, want: { id: 'two', parameters: {} } },
  { desc: 'a condition that fails hides nothing', routes: [['none', { path: '/' }], ['one', { path: '/', headers: { 'x-a': '1' } }]], request: { path: '/', headers: { 'x-a': '2' } }, want: { id: 'none', parameters: {} } },
  { desc: 'another method: a less specific route', routes: [['get', { path: '/a', methods: ['GET'] }], ['any', { path: '/{x}' }]], request: { method: 'POST', path: '/a' }, want: { id: 'any', parameters: { x: 'a' } } },
  { desc: '405 tells the methods of all that match', routes: [['get', { path: '/a', methods: ['GET'] }], ['put', { path: '/{x}', methods: ['PUT'] }]], request: { method: 'POST', path: '/a' }, want: ['GET', 'HEAD', 'PUT'] },
  { desc: 'HEAD falls to GET', routes: [['get', { path: '/a', methods: ['GET'] }]], request: { method: 'HEAD', path: '/a' }, want: { id: 'get', parameters: {} } },
  { desc: 'names of Object.prototype are just names', routes: [['x', { path: '/constructor' }]], request: { path: '/__proto__' }, want: 'noRoute' },
]
for (const { desc, routes, request, want } of table) {
  t.test(desc, async t => { t.same(find(routes.map(([id, match]) => route(id, match)), request), want) })
}

t.test('agrees with a plain search through all routes, and ties are what findConflicts finds', async t => {
  const random = new Random(42)
  const segments = ['a', 'b', '{x}']
  let ties = 0
  for (let round = 0; round < 6000; round++) {
    const routes = Array.from({ length: 1 + random.below(5) }, (_, i) => {
      const parts = Array.from({ length: 1 + random.below(3) }, (_, at) => random.pick(segments).replace(/\{.\}/, `{p${at}}`))
      if (random.chance(0.2)) parts.push('{r+}')
      return route(`r${i}`, {
        path: `/${parts.join('/')}`,
        ...(random.chance(0.3) && { hosts: [random.pick(['h.d', '*.d'])] }),
        ...(random.chance(0.4) && { methods: [random.pick(['GET', 'PUT'])] }),
        ...(random.chance(0.3) && { headers: { 'x-a': random.pick(['1', '2']) } }),
      })
    })
    const hasConflict = findConflicts(routes).length > 0
    for (let i = 0; i < 10; i++) {
      const request = {
        method: random.pick(['GET', 'PUT']), host: random.pick(['h.d', 'i.d', 'z']),
        path: `/${Array.from({ length: 1 + random.below(4) }, () => random.pick(['a', 'b', 'q'])).join('/')}`,
        headers: { 'x-a': random.pick(['1', '2']) },
      }
      const best = bestByPlainSearch(routes, request)
      if (best.length > 1) {
        ties++
        t.ok(hasConflict, JSON.stringify({ routes: routes.map(item => item.match), request }))
      } else if (!hasConflict) {
        const found = find(routes, request)
        t.equal(typeof found === 'object' && 'id' in found ? found.id : undefined, best[0], JSON.stringify({ routes: routes.map(item => item.match), request }))
      }
    }
  }
  t.ok(ties > 100)
})

/** Ids of the routes that come first, by the words of the contract and nothing clever. */
function bestByPlainSearch(routes: readonly RouteConfig[], request: { method: string; host: string; path: string; headers: Record<string, string> }): string[] {
  const parts = request.path.slice(1).split('/')
  const ranked = routes.flatMap(({ id, match }) => {
    const hostRank = match.hosts === undefined ? 2 : match.hosts.includes(request.host) ? 0
      : match.hosts.some(host => host.startsWith('*.') && request.host.endsWith(host.slice(1))) ? 1 : null
    const pattern = match.path.slice(1).split('/')
    const isRest = pattern.at(-1) === '{r+}'
    if (hostRank === null || (isRest ? parts.length < pattern.length : parts.length !== pattern.length)) return []
    if (match.methods !== undefined && !match.methods.includes(request.method)) return []
    if (Object.entries(match.headers).some(([name, value]) => request.headers[name] !== value)) return []
    const kinds = pattern.map((part, i) => (part === '{r+}' ? 2 : part.startsWith('{') ? 1 : part === parts[i] ? 0 : 9))
    return kinds.includes(9) ? [] : [{ id, rank: [hostRank, ...kinds, ...Array(5 - kinds.length).fill(3), 9 - Object.keys(match.headers).length].join('') }]
  })
  const least = ranked.map(({ rank }) => rank).sort()[0]
  return ranked.filter(({ rank }) => rank === least).map(({ id }) => id)
}
