import { createHmac } from 'node:crypto'
import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import { authenticator, type AuthenticatorOf } from '../../../src/config/schema-identity.ts'
import { HmacAuthenticator } from '../../../src/policies/auth/hmac.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { NonceTable, nonceTableBytes } from '../../../src/policies/auth/nonce-table.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const SECRET = 'a secret of at least thirty-two bytes'
const NOW_MS = Date.parse('2027-01-15T08:00:00Z')
const NONCE = 'nonce-0123456789'

function setUp(maxNonces = 1000) {
  let nowMs = NOW_MS
  const directory = new IdentityDirectory([{ id: 'acme', plan: 'gold', groups: [], keys: [] }], () => nowMs)
  const config = authenticator.parse({ type: 'hmac', secrets: { acme: SECRET, other: SECRET.toUpperCase() } }) as AuthenticatorOf<'hmac'>
  const hmac = new HmacAuthenticator('signed', config, { directory, nonces: new NonceTable(new SharedArrayBuffer(nonceTableBytes(maxNonces))), epochMs: () => nowMs })
  return { hmac, advance: (ms: number) => { nowMs += ms } }
}

type Request = {
  method?: string; path?: string; query?: string; host?: string; date?: string; dateName?: string; nonce?: string; digest?: string; secret?: string; id?: string
  contentLength?: number; isChunked?: boolean; signed?: Partial<Request>
}

/** A request whose parts may differ from those that were signed. */
function requestOf(request: Request) {
  const all = { method: 'POST', path: '/a', query: 'b=1', host: 'API.example.com', date: 'Fri, 15 Jan 2027 08:00:00 GMT', dateName: 'date', nonce: NONCE, digest: '', secret: SECRET, id: 'acme', contentLength: 0, isChunked: false, ...request }
  const signed = { ...all, ...request.signed }
  // Written out, and not by signedText: this is what the documentation tells clients.
  const text = `${signed.method}\n${signed.host.toLowerCase()}\n${signed.path}\n${signed.query}\n${signed.date}\n${signed.nonce}\n${signed.digest}`
  const signature = createHmac('sha256', signed.secret).update(text).digest('base64')
  return fakeExchange({
    method: all.method, path: all.path, query: all.query, host: all.host, contentLength: all.contentLength, isChunked: all.isChunked,
    headers: {
      authorization: `HMAC-SHA256 id=${all.id}, nonce=${all.nonce}, signature=${signature}`, [all.dateName]: all.date,
      ...(all.digest === '' ? {} : { 'content-digest': all.digest }),
    },
  })
}

const DIGEST = 'sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:'
const cases: { desc: string; request: Request; admits: boolean }[] = [
  { desc: 'as signed', request: {}, admits: true },
  { desc: 'with a body and its digest', request: { contentLength: 5, digest: DIGEST }, admits: true },
  { desc: 'a date in x-date, in ISO 8601', request: { dateName: 'x-date', date: '2027-01-15T08:00:00Z' }, admits: true },
  { desc: 'a date at the edge of the skew', request: { date: 'Fri, 15 Jan 2027 07:59:30 GMT' }, admits: true },
  { desc: 'a date at the other edge', request: { date: 'Fri, 15 Jan 2027 08:00:30 GMT' }, admits: true },
  { desc: 'a date too old', request: { date: 'Fri, 15 Jan 2027 07:59:29 GMT' }, admits: false },
  { desc: 'a date too far ahead', request: { date: 'Fri, 15 Jan 2027 08:00:31 GMT' }, admits: false },
  { desc: 'a date that is none', request: { date: 'now' }, admits: false },
  { desc: 'a date in a form of its own', request: { date: '1800000000' }, admits: false },
  { desc: 'another method', request: { signed: { method: 'GET' } }, admits: false },
  { desc: 'another host', request: { signed: { host: 'other.example.com' } }, admits: false },
  { desc: 'another path', request: { signed: { path: '/b' } }, admits: false },
  { desc: 'another query', request: { signed: { query: 'b=2' } }, admits: false },
  { desc: 'a part moved over a border', request: { path: '/a', query: '', signed: { path: '/', query: 'a' } }, admits: false },
  { desc: 'another date', request: { signed: { date: 'Fri, 15 Jan 2027 08:00:01 GMT' } }, admits: false },
  { desc: 'another nonce', request: { signed: { nonce: 'nonce-9876543210' } }, admits: false },
  { desc: 'another digest', request: { contentLength: 5, digest: DIGEST, signed: { digest: DIGEST.toLowerCase() } }, admits: false },
  { desc: 'a body without a digest', request: { contentLength: 5 }, admits: false },
  { desc: 'a chunked body without a digest', request: { isChunked: true }, admits: false },
  { desc: 'another secret', request: { signed: { secret: `${SECRET}x` } }, admits: false },
  { desc: 'the secret of another key', request: { id: 'other' }, admits: false },
  { desc: 'an unknown key', request: { id: 'nobody' }, admits: false },
  { desc: 'a key id that every object has', request: { id: '__proto__' }, admits: false },
  { desc: 'a nonce too short', request: { nonce: 'short' }, admits: false },
]
for (const { desc, request, admits } of cases) {
  t.test(desc, async t => {
    const result = setUp().hmac.verify(requestOf(request))
    t.equal(!(result instanceof Failure), admits)
    if (result instanceof Failure) t.equal(result.code, 'GW_UNAUTHENTICATED')
    else t.match(result, { subject: 'acme', consumer: { plan: 'gold' } })
  })
}

for (const { desc, authorization, want } of [
  { desc: 'no signature', authorization: '', want: 'absent' },
  { desc: 'another scheme', authorization: 'Bearer abc', want: 'absent' },
  { desc: 'no parts', authorization: 'HMAC-SHA256 x', want: 'refused' },
  { desc: 'a signature too short', authorization: `HMAC-SHA256 id=acme, nonce=${NONCE}, signature=AAAA`, want: 'refused' },
  { desc: 'parts twice', authorization: `HMAC-SHA256 id=acme, id=other, nonce=${NONCE}, signature=${'A'.repeat(43)}`, want: 'refused' },
]) {
  t.test(desc, async t => {
    const result = setUp().hmac.verify(fakeExchange({ headers: authorization === '' ? {} : { authorization, date: 'Fri, 15 Jan 2027 08:00:00 GMT' } }))
    t.equal(result === 'absent' ? result : result instanceof Failure ? 'refused' : 'admitted', want)
  })
}

t.test('a replay is refused, for as long as its date would be accepted', async t => {
  const { hmac, advance } = setUp()
  t.notOk(hmac.verify(requestOf({})) instanceof Failure)
  t.match(hmac.verify(requestOf({})), { code: 'GW_UNAUTHENTICATED', cause: /used before/ })
  advance(30_000)
  t.match(hmac.verify(requestOf({})), { code: 'GW_UNAUTHENTICATED', cause: /used before/ })
  advance(1)
  t.match(hmac.verify(requestOf({})), { code: 'GW_UNAUTHENTICATED', cause: /date/ })
})

t.test('a wrong signature uses no nonce up', async t => {
  const { hmac } = setUp()
  t.ok(hmac.verify(requestOf({ signed: { path: '/b' } })) instanceof Failure)
  t.notOk(hmac.verify(requestOf({})) instanceof Failure)
})

t.test('full of nonces it can\'t tell, and says so', async t => {
  const { hmac } = setUp(1)
  const results = Array.from({ length: 40 }, (_, i) => hmac.verify(requestOf({ nonce: `nonce-${String(i).padStart(12, '0')}` })))
  t.notOk(results[31] instanceof Failure)
  t.match(results[39], { code: 'GW_AUTH_UNAVAILABLE' })
})

t.test('an unknown key gets the same answer as a wrong signature', async t => {
  t.strictSame({ ...setUp().hmac.verify(requestOf({ id: 'nobody' })) as Failure }, { ...setUp().hmac.verify(requestOf({ signed: { path: '/b' } })) as Failure })
})
