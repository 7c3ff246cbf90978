import t from 'tap'
import { createGuard } from '../../../src/control/admin/guard.ts'
import { AdminProblem } from '../../../src/control/admin/problem.ts'

const TOKEN = 'correct-horse-battery'

function statusOf(token: string | null, headers: Record<string, string>): number {
  try {
    createGuard(token)(headers)
    return 200
  } catch (cause) {
    if (!(cause instanceof AdminProblem)) throw cause
    t.notMatch(cause.message + JSON.stringify(cause.headers), TOKEN)
    return cause.status
  }
}

for (const { desc, headers, want } of [
  { desc: 'the token', headers: { authorization: `Bearer ${TOKEN}` }, want: 200 },
  { desc: 'the scheme in another case (RFC 9110 section 11.1)', headers: { authorization: `bearer ${TOKEN}` }, want: 200 },
  { desc: 'the token by any name of the host', headers: { authorization: `Bearer ${TOKEN}`, host: 'gateway.example', origin: 'https://a.example' }, want: 200 },
  { desc: 'nothing', headers: {}, want: 401 },
  { desc: 'an empty token', headers: { authorization: 'Bearer ' }, want: 401 },
  { desc: 'another token', headers: { authorization: 'Bearer wrong-horse-battery-' }, want: 401 },
  { desc: 'the beginning of the token', headers: { authorization: `Bearer ${TOKEN.slice(0, -1)}` }, want: 401 },
  { desc: 'more than the token', headers: { authorization: `Bearer ${TOKEN}x` }, want: 401 },
  { desc: 'the token in another case', headers: { authorization: `Bearer ${TOKEN.toUpperCase()}` }, want: 401 },
  { desc: 'the token with another scheme', headers: { authorization: `Basic ${TOKEN}` }, want: 401 },
  { desc: 'the token without its scheme', headers: { authorization: TOKEN }, want: 401 },
]) {
  t.test(`with a token: ${desc} gives ${want}`, async t => { t.equal(statusOf(TOKEN, headers as Record<string, string>), want) })
}

for (const { desc, headers, want } of [
  { desc: '127.0.0.1', headers: { host: '127.0.0.1:9000' }, want: 200 },
  { desc: 'localhost, in any case', headers: { host: 'LocalHost:9000' }, want: 200 },
  { desc: '[::1]', headers: { host: '[::1]:9000' }, want: 200 },
  { desc: 'its own page', headers: { host: 'localhost:9000', origin: 'http://localhost:9000' }, want: 200 },
  { desc: 'a name that was rebound to 127.0.0.1', headers: { host: 'evil.example:9000' }, want: 403 },
  { desc: 'a name that begins like one', headers: { host: '127.0.0.1.evil.example' }, want: 403 },
  { desc: 'a name below localhost', headers: { host: 'localhost.evil.example' }, want: 403 },
  { desc: 'a user before the host', headers: { host: 'localhost@evil.example' }, want: 403 },
  { desc: 'no Host', headers: {}, want: 403 },
  { desc: 'an empty Host', headers: { host: '' }, want: 403 },
  { desc: 'a page of another site that sends here', headers: { host: '127.0.0.1:9000', origin: 'https://evil.example' }, want: 403 },
  { desc: 'a page of another server of this machine', headers: { host: '127.0.0.1:9000', origin: 'http://127.0.0.1:3000' }, want: 403 },
  { desc: 'a page without an origin', headers: { host: '127.0.0.1:9000', origin: 'null' }, want: 403 },
]) {
  t.test(`without a token: ${desc} gives ${want}`, async t => { t.equal(statusOf(null, headers as Record<string, string>), want) })
}
