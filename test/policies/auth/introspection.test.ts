import t from 'tap'
import type { Failure } from '../../../src/base/failure.ts'
import { authenticator, type AuthenticatorOf } from '../../../src/config/schema-identity.ts'
import type { AuthResult } from '../../../src/policies/auth/authenticator.ts'
import { HttpCaller } from '../../../src/policies/auth/http-call.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { IntrospectionAuthenticator } from '../../../src/policies/auth/introspection.ts'
import { TokenCache } from '../../../src/policies/auth/token-cache.ts'
import { answeringServer } from '../../support/answering-server.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const NOW = 1_800_000_000

async function setUp(t: { teardown(run: () => Promise<void>): void }, config: Record<string, unknown> = {}) {
  const state = { status: 200, body: JSON.stringify({ active: true, sub: 'acme', scope: 'r w', exp: NOW + 10 }) as string | null }
  const server = await answeringServer((_request, response) => {
    if (state.body === null) return
    response.statusCode = state.status
    response.end(state.body)
  })
  t.teardown(server.close)
  let nowMs = NOW * 1000
  const directory = new IdentityDirectory([{ id: 'acme', plan: 'gold', groups: [], keys: [] }], () => nowMs)
  const parsed = authenticator.parse({ type: 'introspection', url: `${server.url}/introspect`, clientId: 'g w', clientSecret: 's:1', ...config }) as AuthenticatorOf<'introspection'>
  const opaque = new IntrospectionAuthenticator('opaque', parsed, { directory, cache: new TokenCache(), caller: new HttpCaller(), epochMs: () => nowMs })
  return {
    state, asked: server.asked, advance: (ms: number) => { nowMs += ms },
    verify: (token: string): AuthResult | Promise<AuthResult> => opaque.verify(fakeExchange({ headers: { authorization: `Bearer ${token}` } })),
  }
}

t.test('asks once, with its own credentials, and believes the answer until cacheTtlMs or exp', async t => {
  const it = await setUp(t)
  const results = await Promise.all([it.verify('a&b=c'), it.verify('a&b=c')])
  for (const result of results) t.match(result, { subject: 'acme', consumer: { plan: 'gold' }, scopes: ['r', 'w'] })
  t.equal(it.asked.length, 1)
  t.match(it.asked[0], {
    method: 'POST', url: '/introspect', body: 'token=a%26b%3Dc&token_type_hint=access_token',
    headers: { authorization: `Basic ${Buffer.from('g+w:s%3A1').toString('base64')}` },
  })
  t.notOk(it.verify('a&b=c') instanceof Promise)
  it.advance(9_999)
  t.notOk(it.verify('a&b=c') instanceof Promise)
  it.advance(1)
  t.match(await it.verify('a&b=c'), { code: 'GW_UNAUTHENTICATED' }, 'the issuer still calls it active, exp does not')
})

for (const { desc, status = 200, body, code } of [
  { desc: 'not active', body: '{"active":false}', code: 'GW_UNAUTHENTICATED' },
  { desc: 'not active yet', body: `{"active":true,"nbf":${NOW + 1}}`, code: 'GW_UNAUTHENTICATED' },
  { desc: 'over', body: `{"active":true,"exp":${NOW}}`, code: 'GW_UNAUTHENTICATED' },
  { desc: 'active in text', body: '{"active":"true"}', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'no JSON', body: '<html>', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'a list', body: '[true]', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'the gateway is refused', status: 401, body: '{"active":true}', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'a redirect', status: 302, body: '', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'an error', status: 500, body: '{"active":true}', code: 'GW_AUTH_UNAVAILABLE' },
  { desc: 'an answer without end', body: `{"active":true,"x":"${'x'.repeat(70_000)}"}`, code: 'GW_AUTH_UNAVAILABLE' },
]) {
  t.test(`refuses: ${desc}`, async t => {
    const it = await setUp(t)
    Object.assign(it.state, { status, body })
    t.match(await it.verify('secret-token'), { code })
    const again = it.verify('secret-token')
    t.equal(again instanceof Promise, code === 'GW_AUTH_UNAVAILABLE', 'a refusal is kept, trouble is not')
    const failure = await again as Failure
    t.notOk(failure.cause?.includes('secret-token'))
  })
}

t.test('no answer in time', async t => {
  const it = await setUp(t, { timeoutMs: 20 })
  it.state.body = null
  t.match(await it.verify('a'), { code: 'GW_AUTH_UNAVAILABLE', cause: /within 20 ms/ })
})

t.test('nobody there', async t => {
  const it = await setUp(t, { url: 'http://127.0.0.1:1/' })
  t.match(await it.verify('a'), { code: 'GW_AUTH_UNAVAILABLE' })
})
