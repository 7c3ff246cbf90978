import { createHmac } from 'node:crypto'
import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import { authenticator, consumer } from '../../../src/config/schema-identity.ts'
import { type AuthSet, createAuth } from '../../../src/policies/auth/create-auth.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const SECRET = 'a secret of at least thirty-two bytes'
const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const text = `${base64url({ alg: 'HS256' })}.${base64url({ sub: 'acme' })}`
const token = `${text}.${createHmac('sha256', SECRET).update(text).digest('base64url')}`

const make = (plan: string, previous: AuthSet | null, ttl = 60_000): AuthSet => createAuth({
  authenticators: {
    local: authenticator.parse({ type: 'jwt', algorithms: ['HS256'], secret: SECRET, cacheTtlMs: ttl, setHeaders: { 'X-User': '{claim.sub}' } }),
    edge: authenticator.parse({ type: 'forward', url: 'http://127.0.0.1:1/', copyHeaders: ['X-Copied', 'x-user'] }),
  },
  consumers: [consumer.parse({ id: 'acme', plan })], files: {},
}, { nowMs: () => 0, epochMs: () => 1_800_000_000_000, nonceMemory: null, live: null, previous })

const verify = (set: AuthSet) => set.authenticators.get('local')!.verify(fakeExchange({ headers: { authorization: `Bearer ${token}` } }))

t.test('a reload keeps verified tokens, and knows the consumers of today', async t => {
  const first = make('gold', null)
  t.match(await verify(first), { consumer: { plan: 'gold' } })
  const second = make('silver', first)
  const result = verify(second)
  t.notOk(result instanceof Promise, 'not verified again')
  t.match(result, { consumer: { plan: 'silver' } })
  t.match(verify(first), { consumer: { plan: 'gold' } }, 'open exchanges of the old runtime keep theirs')
  t.ok(verify(make('gold', first, 30_000)) instanceof Promise, 'another authenticator has another cache')
})

t.test('headers of identity of all authenticators, once each', async t => {
  t.strictSame(make('gold', null).identityHeaders.toSorted(), ['x-copied', 'x-user'])
})

t.test('every kind is made, but mtls', async t => {
  const { authenticators } = createAuth({
    authenticators: {
      a: authenticator.parse({ type: 'jwt', algorithms: ['RS256'], jwksUrl: 'http://127.0.0.1:1/' }),
      b: authenticator.parse({ type: 'api-key' }),
      c: authenticator.parse({ type: 'basic', users: { u: `scrypt:15:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}` } }),
      d: authenticator.parse({ type: 'hmac', secrets: { k: SECRET } }),
      e: authenticator.parse({ type: 'introspection', url: 'http://127.0.0.1:1/', clientId: 'a', clientSecret: 'b' }),
    },
    consumers: [], files: {},
  }, { nowMs: () => 0, epochMs: () => 0, nonceMemory: null, live: null, previous: null })
  t.strictSame([...authenticators.values()].map(({ challenge }) => challenge.split(' ')[0]), ['Bearer', 'ApiKey', 'Basic', 'HMAC-SHA256', 'Bearer'])
  for (const each of authenticators.values()) t.equal(each.verify(fakeExchange()), 'absent')
  t.throws(() => createAuth({ authenticators: { m: { type: 'mtls' } }, consumers: [], files: {} }, { nowMs: () => 0, epochMs: () => 0, nonceMemory: null, live: null, previous: null }), /not supported/)
})

t.test('memory for nonces is asked for by name and size', async t => {
  const asked: [string, number][] = []
  const make = () => createAuth({ authenticators: { d: authenticator.parse({ type: 'hmac', secrets: { k: SECRET }, maxNonces: 1000 }) }, consumers: [], files: {} }, {
    nowMs: () => 0, epochMs: () => 0, previous: null, live: null, nonceMemory: (name, size) => { asked.push([name, size]); return new SharedArrayBuffer(size) },
  })
  t.notOk(make().authenticators.get('d')!.verify(fakeExchange()) instanceof Failure)
  t.strictSame(asked, [['d', 32_768]])
})
