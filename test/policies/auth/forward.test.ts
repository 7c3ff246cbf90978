import type { ServerResponse } from 'node:http'
import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import { authenticator, type AuthenticatorOf } from '../../../src/config/schema-identity.ts'
import type { AuthResult } from '../../../src/policies/auth/authenticator.ts'
import { ForwardAuthenticator } from '../../../src/policies/auth/forward.ts'
import { HttpCaller } from '../../../src/policies/auth/http-call.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { TokenCache } from '../../../src/policies/auth/token-cache.ts'
import { type AskedRequest, answeringServer } from '../../support/answering-server.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

async function setUp(
  t: { teardown(run: () => Promise<void>): void }, config: Record<string, unknown> = {},
  answer: (request: AskedRequest, response: ServerResponse) => void = (_request, response) => response.end(),
  caller = new HttpCaller(),
) {
  const server = await answeringServer(answer)
  t.teardown(server.close)
  let nowMs = 1_000_000
  const directory = new IdentityDirectory([{ id: 'acme', plan: 'gold', groups: [], keys: [] }], () => nowMs)
  const parsed = authenticator.parse({ type: 'forward', url: `${server.url}/check`, ...config }) as AuthenticatorOf<'forward'>
  const forward = new ForwardAuthenticator('edge', parsed, { directory, cache: new TokenCache(), caller, epochMs: () => nowMs })
  return {
    asked: server.asked, advance: (ms: number) => { nowMs += ms },
    verify: (headers: Record<string, string> = {}, head: { path?: string; query?: string; method?: string } = {}): AuthResult | Promise<AuthResult> => forward.verify(fakeExchange({ headers, ...head })),
  }
}

t.test('the service sees the head of the request; its headers travel on', async t => {
  const it = await setUp(t, { copyHeaders: ['x-user-id', 'x-missing'], subjectHeader: 'x-user-id', setHeaders: { 'x-plan': '{consumer.plan}' } }, (_request, response) => {
    response.setHeader('x-user-id', 'acme')
    response.setHeader('x-else', '1')
    response.end('ignored')
  })
  const result = await it.verify({ authorization: 'Bearer x', cookie: 'a=b', 'x-forwarded-for': '6.6.6.6', 'content-type': 'text/plain' }, { method: 'DELETE', path: '/a', query: 'b=1' })
  t.match(result, { subject: 'acme', consumer: { id: 'acme' } })
  t.strictSame(result !== 'absent' && !(result instanceof Failure) && result.upstreamHeaders, [['x-plan', 'gold'], ['x-user-id', 'acme']])
  t.match(it.asked[0], {
    method: 'GET', url: '/check', body: '',
    headers: { authorization: 'Bearer x', cookie: 'a=b', 'x-forwarded-method': 'DELETE', 'x-forwarded-host': 'api.example.com', 'x-forwarded-uri': '/a?b=1', 'x-forwarded-for': '192.0.2.1', 'x-request-id': 'id-1' },
  })
  t.equal(it.asked[0]!.headers['content-type'], undefined)
})

t.test('only the headers that the document names', async t => {
  const it = await setUp(t, { requestHeaders: ['authorization'] })
  await it.verify({ authorization: 'Bearer x', cookie: 'a=b' })
  t.equal(it.asked[0]!.headers.authorization, 'Bearer x')
  t.equal(it.asked[0]!.headers.cookie, undefined)
})

for (const { status, code } of [
  { status: 200, code: null }, { status: 204, code: null }, { status: 401, code: 'GW_UNAUTHENTICATED' }, { status: 403, code: 'GW_FORBIDDEN' },
  { status: 302, code: 'GW_AUTH_UNAVAILABLE' }, { status: 404, code: 'GW_AUTH_UNAVAILABLE' }, { status: 429, code: 'GW_AUTH_UNAVAILABLE' }, { status: 500, code: 'GW_AUTH_UNAVAILABLE' },
]) {
  t.test(`status ${status}`, async t => {
    const it = await setUp(t, { cacheTtlMs: 1000 }, (_request, response) => {
      response.statusCode = status
      response.setHeader('location', '/check')
      response.end()
    })
    const result = await it.verify()
    t.equal(result instanceof Failure ? result.code : null, code)
    await it.verify()
    t.equal(it.asked.length, code === 'GW_AUTH_UNAVAILABLE' ? 2 : 1, 'decisions are kept, trouble is not')
  })
}

t.test('a decision is shared by what the document names, for cacheTtlMs', async t => {
  const it = await setUp(t, { cacheTtlMs: 1000, cacheKey: ['header:authorization', 'method'] })
  await Promise.all([it.verify({ authorization: 'a' }), it.verify({ authorization: 'a' }, { path: '/other' })])
  t.equal(it.asked.length, 1, 'asked once')
  t.notOk(it.verify({ authorization: 'a' }) instanceof Promise)
  await it.verify({ authorization: 'b' })
  await it.verify({ authorization: 'a' }, { method: 'POST' })
  await it.verify({})
  t.equal(it.asked.length, 4)
  it.advance(1000)
  await it.verify({ authorization: 'a' })
  t.equal(it.asked.length, 5)
})

t.test('parts of a key can not be moved from one to the other', async t => {
  const it = await setUp(t, { cacheTtlMs: 1000, cacheKey: ['header:a', 'header:b'] })
  for (const headers of [{ a: 'x', b: 'y' }, { a: 'x;1:y' }, { a: 'x1:y;' }, { b: 'xy' }, { a: 'xy' }, { a: '', b: 'xy' }, { a: '-', b: 'xy' }]) await it.verify(headers as Record<string, string>)
  t.equal(it.asked.length, 7)
})

t.test('cacheTtlMs 0: every request asks', async t => {
  const it = await setUp(t)
  await Promise.all([it.verify({ authorization: 'a' }), it.verify({ authorization: 'a' })])
  t.equal(it.asked.length, 2)
})

t.test('calls under way are bounded', async t => {
  const held: ServerResponse[] = []
  const it = await setUp(t, {}, (_request, response) => { held.push(response) }, new HttpCaller(1))
  const first = it.verify()
  t.match(await it.verify(), { code: 'GW_AUTH_UNAVAILABLE', cause: /too many/ })
  while (held.length === 0) await new Promise(resolve => setImmediate(resolve))
  held[0]!.end()
  t.notOk(await first instanceof Failure)
})

t.test('no answer in time', async t => {
  const it = await setUp(t, { timeoutMs: 20 }, () => {})
  t.match(await it.verify(), { code: 'GW_AUTH_UNAVAILABLE', cause: /within 20 ms/ })
})

t.test('a header of its answer that is not ASCII does not travel on', async t => {
  const it = await setUp(t, { copyHeaders: ['x-user-id'] }, (_request, response) => {
    response.setHeader('x-user-id', 'a\u00fc')
    response.end()
  })
  t.match(await it.verify(), { upstreamHeaders: [] })
})
