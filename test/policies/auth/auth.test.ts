import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import type { RouteConfig } from '../../../src/config/schema.ts'
import { auth, Auth } from '../../../src/policies/auth/auth.ts'
import type { Admitted, Authenticator, AuthResult } from '../../../src/policies/auth/authenticator.ts'
import type { PolicyDeps } from '../../../src/policies/policy.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const identityOf = (of: Partial<Admitted>): Admitted =>
  ({ authenticator: 'a', subject: 's', consumer: null, scopes: [], claims: null, upstreamHeaders: [], ...of })
const acme = { id: 'acme', plan: 'gold', groups: ['partners', 'beta'] }
const other = { id: 'other', plan: null, groups: [] }
const refusal = new Failure('GW_UNAUTHENTICATED', 'wrong')
const forbidden = new Failure('GW_FORBIDDEN', 'no')
const unavailable = new Failure('GW_AUTH_UNAVAILABLE', 'down')
const ok = identityOf({ consumer: acme })

type Asked = { names: string[] }
function authenticatorOf(name: string, result: AuthResult, isAsync: boolean, asked: Asked): Authenticator {
  return {
    name, challenge: `S-${name} realm="${name}"`,
    verify: () => { asked.names.push(name); return isAsync ? Promise.resolve(result) : result },
    takeCredential: ({ request }) => request.headers.remove(`x-${name}`),
  }
}

type Case = {
  desc: string; results: Record<string, AuthResult>; auth: { anyOf?: string[]; allOf?: string[]; groups?: string[]; scopes?: string[] }
  want: string; asked: string[]
}
const cases: Case[] = [
  { desc: 'any: the first admits, the second is not asked', results: { a: ok, b: ok }, auth: { anyOf: ['a', 'b'] }, want: 'acme', asked: ['a'] },
  { desc: 'any: the first has no credential', results: { a: 'absent', b: ok }, auth: { anyOf: ['a', 'b'] }, want: 'acme', asked: ['a', 'b'] },
  { desc: 'any: the first refuses', results: { a: refusal, b: ok }, auth: { anyOf: ['a', 'b'] }, want: 'acme', asked: ['a', 'b'] },
  { desc: 'any: the first can\'t tell', results: { a: unavailable, b: ok }, auth: { anyOf: ['a', 'b'] }, want: 'acme', asked: ['a', 'b'] },
  { desc: 'any: none has a credential', results: { a: 'absent', b: 'absent' }, auth: { anyOf: ['a', 'b'] }, want: 'GW_UNAUTHENTICATED', asked: ['a', 'b'] },
  { desc: 'any: one can\'t tell, the other refuses', results: { a: unavailable, b: refusal }, auth: { anyOf: ['a', 'b'] }, want: 'GW_AUTH_UNAVAILABLE', asked: ['a', 'b'] },
  { desc: 'any: one refuses, the other can\'t tell', results: { a: refusal, b: unavailable }, auth: { anyOf: ['a', 'b'] }, want: 'GW_AUTH_UNAVAILABLE', asked: ['a', 'b'] },
  { desc: 'any: one refuses, the other forbids', results: { a: refusal, b: forbidden }, auth: { anyOf: ['a', 'b'] }, want: 'GW_FORBIDDEN', asked: ['a', 'b'] },
  { desc: 'all: both admit', results: { a: ok, b: identityOf({}) }, auth: { allOf: ['a', 'b'] }, want: 'acme', asked: ['a', 'b'] },
  { desc: 'all: the consumer is the one that the second knows', results: { a: identityOf({}), b: ok }, auth: { allOf: ['a', 'b'] }, want: 'acme', asked: ['a', 'b'] },
  { desc: 'all: the first refuses, the second is not asked', results: { a: refusal, b: ok }, auth: { allOf: ['a', 'b'] }, want: 'GW_UNAUTHENTICATED', asked: ['a'] },
  { desc: 'all: the second is missing', results: { a: ok, b: 'absent' }, auth: { allOf: ['a', 'b'] }, want: 'GW_UNAUTHENTICATED', asked: ['a', 'b'] },
  { desc: 'all: two consumers are nobody', results: { a: ok, b: identityOf({ consumer: other }) }, auth: { allOf: ['a', 'b'] }, want: 'GW_FORBIDDEN', asked: ['a', 'b'] },
  { desc: 'all and any: both', results: { a: ok, b: 'absent', c: identityOf({}) }, auth: { allOf: ['a'], anyOf: ['b', 'c'] }, want: 'acme', asked: ['a', 'b', 'c'] },
  { desc: 'all and any: none of any', results: { a: ok, b: 'absent' }, auth: { allOf: ['a'], anyOf: ['b'] }, want: 'GW_UNAUTHENTICATED', asked: ['a', 'b'] },
  { desc: 'all and any: of two consumers', results: { a: ok, b: identityOf({ consumer: other }) }, auth: { allOf: ['a'], anyOf: ['b'] }, want: 'GW_FORBIDDEN', asked: ['a', 'b'] },
  { desc: 'groups: in one of them', results: { a: ok }, auth: { anyOf: ['a'], groups: ['x', 'beta'] }, want: 'acme', asked: ['a'] },
  { desc: 'groups: in none', results: { a: ok }, auth: { anyOf: ['a'], groups: ['x'] }, want: 'GW_FORBIDDEN', asked: ['a'] },
  { desc: 'groups: known by a subject only', results: { a: identityOf({}) }, auth: { anyOf: ['a'], groups: ['partners'] }, want: 'GW_FORBIDDEN', asked: ['a'] },
  { desc: 'scopes: all of them', results: { a: identityOf({ consumer: acme, scopes: ['r', 'w', 'x'] }) }, auth: { anyOf: ['a'], scopes: ['r', 'w'] }, want: 'acme', asked: ['a'] },
  { desc: 'scopes: one lacks', results: { a: identityOf({ consumer: acme, scopes: ['r'] }) }, auth: { anyOf: ['a'], scopes: ['r', 'w'] }, want: 'GW_FORBIDDEN', asked: ['a'] },
  { desc: 'scopes: from two credentials', results: { a: identityOf({ consumer: acme, scopes: ['r'] }), b: identityOf({ scopes: ['w'] }) }, auth: { allOf: ['a', 'b'], scopes: ['r', 'w'] }, want: 'acme', asked: ['a', 'b'] },
]
for (const isAsync of [false, true]) {
  for (const { desc, results, auth: config, want, asked: wantAsked } of cases) {
    t.test(`${desc}${isAsync ? ', later' : ''}`, async t => {
      const asked: Asked = { names: [] }
      const authenticators = new Map(Object.entries(results).map(([name, result]) => [name, authenticatorOf(name, result, isAsync, asked)]))
      const policy = new Auth({ groups: [], scopes: [], ...config }, { authenticators, identityHeaders: [] })
      const exchange = fakeExchange()
      const verdict = policy.onRequest(exchange)
      t.equal(verdict instanceof Promise, isAsync, 'waits only where it has to')
      const settled = await verdict
      t.equal(settled instanceof Failure ? settled.code : exchange.identity?.consumer?.id, want)
      t.strictSame(asked.names, wantAsked)
      if (settled instanceof Failure) {
        t.equal(exchange.identity, null)
        const names = [...config.allOf ?? [], ...config.anyOf ?? []]
        t.strictSame(exchange.added, settled.status === 401 ? names.map(name => `www-authenticate: S-${name} realm="${name}"`) : [])
      }
    })
  }
}

t.test('headers of identity: taken from the client before anybody is asked, set by who admits', async t => {
  let seen: string | undefined
  const admitting: Authenticator = {
    name: 'a', challenge: 'A', takeCredential: ({ request }) => request.headers.remove('x-key'),
    verify: ({ request }) => { seen = request.headers.get('x-user'); return identityOf({ upstreamHeaders: [['x-user', 'real']] }) },
  }
  const deps = { authenticators: new Map([['a', admitting]]), identityHeaders: ['x-user', 'x-plan'] }
  const exchange = fakeExchange({ headers: { 'x-user': 'forged', 'x-plan': 'gold', 'x-key': 'secret', 'x-else': '1' } })
  t.equal(new Auth({ anyOf: ['a'], groups: [], scopes: [] }, deps).onRequest(exchange), null)
  t.equal(seen, undefined)
  t.strictSame(exchange.request.headers.lines, ['x-else', '1', 'x-user', 'real'])
})

t.test('an open route takes them too, and has no policy where there are none', async t => {
  const route = {} as RouteConfig
  const depsWith = (identityHeaders: string[]): PolicyDeps => ({ nowMs: () => 0, auth: { authenticators: new Map(), identityHeaders }, limits: null as never })
  t.equal(auth.create(route, depsWith([])), null)
  const exchange = fakeExchange({ headers: { 'x-user': 'forged', 'x-else': '1' } })
  t.equal(auth.create(route, depsWith(['x-user']))!.onRequest!(exchange), null)
  t.strictSame(exchange.request.headers.lines, ['x-else', '1'])
})

t.test('a refused request keeps no credential that the log could show', async t => {
  const asked: Asked = { names: [] }
  const policy = new Auth({ anyOf: ['a'], groups: [], scopes: [] }, { authenticators: new Map([['a', authenticatorOf('a', refusal, false, asked)]]), identityHeaders: [] })
  const exchange = fakeExchange({ headers: { 'x-a': 'secret' } })
  policy.onRequest(exchange)
  t.strictSame(exchange.request.headers.lines, [])
})

t.test('what is wrong with a route refuses the snapshot', async t => {
  const deps = { authenticators: new Map<string, Authenticator>(), identityHeaders: [] }
  t.throws(() => new Auth({ anyOf: ['x'], groups: [], scopes: [] }, deps), /not defined/)
  t.throws(() => new Auth({ groups: [], scopes: [] }, deps), /needs an authenticator/)
})
