import t from 'tap'
import { Failure, type FailureCode } from '../../src/base/failure.ts'
import { isRepeatable, isStale, RetryPolicy, type RetriesConfig } from '../../src/gateway/retry.ts'
import { upstream } from '../../src/config/schema-upstream.ts'
import { Headers } from '../../src/http/headers.ts'
import { Call, type CallListener } from '../../src/upstream/call.ts'

const policyOf = (retries: Partial<RetriesConfig>): RetryPolicy => new RetryPolicy(upstream.parse({ retries }).retries)

for (const { desc, isOnReused = true, hasResponse = false, code = 'GW_UPSTREAM_RESET', want = false } of [
  { desc: 'a connection that was closed while idle', want: true },
  { desc: 'a connection that was new', isOnReused: false },
  { desc: 'an answer that had begun', hasResponse: true },
  { desc: 'a head that did not come in time', code: 'GW_UPSTREAM_HEAD_TIMEOUT' },
  { desc: 'an answer that is no HTTP', code: 'GW_UPSTREAM_PROTOCOL' },
] as { desc: string; isOnReused?: boolean; hasResponse?: boolean; code?: FailureCode; want?: boolean }[]) {
  t.test(`${desc} is ${want ? '' : 'not '}a stale connection`, async t => {
    const call = new Call('GET', '', null, {} as CallListener)
    call.isOnReused = isOnReused
    call.hasResponse = hasResponse
    t.equal(isStale(call, new Failure(code)), want)
  })
}

for (const { method, key, want } of [
  ...['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'].map(method => ({ method, key: false, want: true })),
  ...['POST', 'PATCH', 'PURGE'].flatMap(method => [{ method, key: false, want: false }, { method, key: true, want: true }]),
]) {
  t.test(`${method}${key ? ' with an Idempotency-Key' : ''} ${want ? 'can' : 'can\'t'} be repeated`, async t => {
    const headers = new Headers()
    if (key) headers.add('idempotency-key', 'k1')
    t.equal(isRepeatable({ method, path: '/', query: '', host: 'a', headers, contentLength: null, isChunked: false, hasForwarding: false }), want)
  })
}

for (const { desc, retries = {}, code, mayRepeat, want } of [
  { desc: 'nothing was sent: any method', code: 'GW_UPSTREAM_REFUSED', mayRepeat: false, want: true },
  { desc: 'nothing was sent, but that is not asked for', retries: { on: ['reset'] }, code: 'GW_UPSTREAM_REFUSED', mayRepeat: true, want: false },
  { desc: 'a reset of what can be repeated', code: 'GW_UPSTREAM_RESET', mayRepeat: true, want: true },
  { desc: 'a reset of what can\'t', code: 'GW_UPSTREAM_RESET', mayRepeat: false, want: false },
  { desc: 'a head timeout', code: 'GW_UPSTREAM_HEAD_TIMEOUT', mayRepeat: true, want: false },
  { desc: 'a head timeout, when asked for', retries: { on: ['timeout'] }, code: 'GW_UPSTREAM_HEAD_TIMEOUT', mayRepeat: true, want: true },
  { desc: 'an answer that is no HTTP: the upstream has done it', code: 'GW_UPSTREAM_PROTOCOL', mayRepeat: true, want: false },
  { desc: 'too much under way already', code: 'GW_UPSTREAM_IN_FLIGHT_FULL', mayRepeat: true, want: false },
  { desc: 'an open breaker', code: 'GW_UPSTREAM_BREAKER_OPEN', mayRepeat: true, want: false },
] as { desc: string; retries?: Partial<RetriesConfig>; code: FailureCode; mayRepeat: boolean; want: boolean }[]) {
  t.test(`${desc}: ${want ? 'another try' : 'none'}`, async t => {
    t.equal(policyOf(retries).wantsAfterFailure(new Failure(code), mayRepeat), want)
  })
}

t.test('statuses are as listed', async t => {
  const policy = policyOf({ on: [429, 503] })
  t.strictSame([429, 500, 502, 503, 504].map(status => policy.wantsAfterStatus(status)), [true, false, false, true, false])
})
