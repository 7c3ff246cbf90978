import t from 'tap'
import { Failure, type FailureCode } from '../../src/base/failure.ts'
import { maySendAgain } from '../../src/gateway/retry.ts'
import type { BodySource } from '../../src/http/message.ts'
import { Call, type CallListener } from '../../src/upstream/call.ts'

const NOBODY = {} as CallListener
const BODY = {} as BodySource

type Case = { desc: string; method?: string; body?: BodySource; isOnReused?: boolean; hasResponse?: boolean; tries?: number; code?: FailureCode; want?: boolean }
const cases: Case[] = [
  { desc: 'a connection that was closed while idle', want: true },
  ...['HEAD', 'OPTIONS', 'PUT', 'DELETE'].map(method => ({ desc: `${method}, which is idempotent`, method, want: true })),
  ...['POST', 'PATCH', 'PURGE'].map(method => ({ desc: `${method}, which is not`, method })),
  { desc: 'a connection that was new', isOnReused: false },
  { desc: 'an answer that had begun', hasResponse: true },
  { desc: 'a body that has been taken from the client', method: 'PUT', body: BODY },
  { desc: 'the second time', tries: 2 },
  ...(['GW_UPSTREAM_HEAD_TIMEOUT', 'GW_UPSTREAM_PROTOCOL', 'GW_UPSTREAM_IN_FLIGHT_FULL'] as const).map(code => ({ desc: code, code })),
]
for (const { desc, method = 'GET', body = null, isOnReused = true, hasResponse = false, tries = 1, code = 'GW_UPSTREAM_RESET', want = false } of cases) {
  t.test(`${desc}: ${want ? 'sent once more' : 'not sent again'}`, async t => {
    const call = new Call(method, '', body, NOBODY)
    call.isOnReused = isOnReused
    call.hasResponse = hasResponse
    t.equal(maySendAgain(call, new Failure(code), tries), want)
  })
}
