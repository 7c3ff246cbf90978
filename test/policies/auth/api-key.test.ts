import { createHash } from 'node:crypto'
import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import { authenticator, type AuthenticatorOf } from '../../../src/config/schema-identity.ts'
import { ApiKeyAuthenticator } from '../../../src/policies/auth/api-key.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { sha256Hex } from '../../../src/policies/auth/sha256.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const digestOf = (key: string): string => `sha256:${createHash('sha256').update(key).digest('hex')}`
const END_MS = Date.parse('2027-01-01T00:00:00Z')
const consumers = [
  { id: 'acme', plan: 'gold', groups: ['partners'], keys: [digestOf('old'), { digest: digestOf('new'), expiresAt: null }, { digest: digestOf('ending'), expiresAt: '2027-01-01T00:00:00Z' }] },
  { id: 'none', plan: null, groups: [], keys: [] },
]

function setUp(config: Record<string, unknown> = {}, epochMs = END_MS - 1) {
  const calls = { digests: 0, times: 0 }
  const directory = new IdentityDirectory(consumers, () => { calls.times++; return epochMs }, key => { calls.digests++; return sha256Hex(key) })
  return { calls, authenticator: new ApiKeyAuthenticator('keys', authenticator.parse({ type: 'api-key', ...config }) as AuthenticatorOf<'api-key'>, { directory }) }
}

type Case = { desc: string; config?: Record<string, unknown>; headers?: Record<string, string>; query?: string; want: string }
const cases: Case[] = [
  { desc: 'one of two keys', headers: { 'x-api-key': 'old' }, want: 'acme' },
  { desc: 'the other', headers: { 'x-api-key': 'new' }, want: 'acme' },
  { desc: 'a key that ends in a millisecond', headers: { 'x-api-key': 'ending' }, want: 'acme' },
  { desc: 'no key', want: 'absent' },
  { desc: 'an empty key', headers: { 'x-api-key': '' }, want: 'refused' },
  { desc: 'an unknown key', headers: { 'x-api-key': 'oldx' }, want: 'refused' },
  { desc: 'the digest in place of the key', headers: { 'x-api-key': digestOf('old') }, want: 'refused' },
  { desc: 'the bare digest in place of the key', headers: { 'x-api-key': digestOf('old').slice(7) }, want: 'refused' },
  { desc: 'a name that every object has', headers: { 'x-api-key': '__proto__' }, want: 'refused' },
  { desc: 'a key of 2000 characters', headers: { 'x-api-key': 'x'.repeat(2000) }, want: 'refused' },
  { desc: 'two keys in one header', headers: { 'x-api-key': 'old, old' }, want: 'refused' },
  { desc: 'a key in the query', config: { in: 'query:api_key' }, query: 'a=1&api_key=old', want: 'acme' },
  { desc: 'an escaped key in the query', config: { in: 'query:api_key' }, query: 'api%5Fkey=%6Fld', want: 'acme' },
  { desc: 'a header where the query is asked', config: { in: 'query:api_key' }, headers: { api_key: 'old' }, want: 'absent' },
  { desc: 'Authorization with a scheme', config: { in: 'header:Authorization' }, headers: { authorization: 'ApiKey old' }, want: 'acme' },
  { desc: 'Authorization with another scheme', config: { in: 'header:authorization' }, headers: { authorization: 'Basic old' }, want: 'absent' },
]
for (const { desc, config, headers = {}, query = '', want } of cases) {
  t.test(desc, async t => {
    const result = setUp(config).authenticator.verify(fakeExchange({ headers, query }))
    if (result instanceof Failure) t.equal(result.code, 'GW_UNAUTHENTICATED')
    t.equal(result === 'absent' ? result : result instanceof Failure ? 'refused' : result.consumer?.id, want)
  })
}

t.test('a key ends at its time', async t => {
  t.ok(setUp({}, END_MS).authenticator.verify(fakeExchange({ headers: { 'x-api-key': 'ending' } })) instanceof Failure)
})

t.test('the same work, and the same refusal, whether a key exists, is over or does not exist', async t => {
  const works = ['old', 'ending', 'unknown'].map(key => {
    const { calls, authenticator } = setUp({}, END_MS)
    const result = authenticator.verify(fakeExchange({ headers: { 'x-api-key': key } }))
    return { calls, failure: result instanceof Failure ? { ...result } : null }
  })
  for (const { calls } of works) t.strictSame(calls, { digests: 1, times: 1 })
  t.strictSame(works[1]!.failure, works[2]!.failure)
})

for (const { desc, config, query, headers, wantQuery, wantLines } of [
  { desc: 'a header', config: {}, query: '', headers: { 'x-api-key': 'old', a: 'b' }, wantQuery: '', wantLines: ['a', 'b'] },
  { desc: 'the query, every spelling of it', config: { in: 'query:k' }, query: 'a=1&k=old&%6b=x&b=2&k', headers: {}, wantQuery: 'a=1&b=2', wantLines: [] },
  { desc: 'nothing with forwardCredential', config: { in: 'query:k', forwardCredential: true }, query: 'k=old', headers: {}, wantQuery: 'k=old', wantLines: [] },
]) {
  t.test(`takes the credential out: ${desc}`, async t => {
    const exchange = fakeExchange({ query, headers: headers as Record<string, string> })
    setUp(config).authenticator.takeCredential(exchange)
    t.equal(exchange.request.query, wantQuery)
    t.strictSame(exchange.request.headers.lines, wantLines)
  })
}
