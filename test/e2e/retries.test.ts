import type { ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { closedPort, CountingUpstream } from '../support/counting-upstream.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const route = { id: 'all', match: { path: '/{rest+}' }, upstream: 'u' }
/** Round-robin begins anywhere, so a test with a good and a bad endpoint asks more than once. */
const fast = { balance: 'round-robin', outlier: null, slowStartMs: 0 }
type Fetched = { status: number; body: string; headers: Headers }
async function ask(gateway: GatewayProcess, path = '/x', init: RequestInit = {}): Promise<Fetched> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, init)
  return { status: response.status, body: await response.text(), headers: response.headers }
}
const status = (code: number, headers: Record<string, string> = {}) => (response: ServerResponse): void => { response.writeHead(code, headers).end('no') }

async function setUp(test: Test, upstream: object, ...answers: CountingUpstream['answer'][]): Promise<{ gateway: GatewayProcess; upstreams: CountingUpstream[] }> {
  const upstreams = await Promise.all(answers.map(answer => CountingUpstream.start(answer)))
  const gateway = await GatewayProcess.start({ accessLog: null, upstreams: { u: { endpoints: upstreams.map(({ url }) => url), ...fast, ...upstream } }, routes: [route] })
  test.teardown(async () => {
    await gateway.stop()
    for (const each of upstreams) await each.stop()
  })
  return { gateway, upstreams }
}

t.test('a refused connection: another endpoint is asked, for any method', async t => {
  const good = await CountingUpstream.start()
  const gateway = await GatewayProcess.start({
    accessLog: null, upstreams: { u: { endpoints: [`http://127.0.0.1:${await closedPort()}`, good.url], ...fast } }, routes: [route],
  })
  t.teardown(async () => { await gateway.stop(); await good.stop() })
  for (let i = 0; i < 6; i++) {
    t.equal((await ask(gateway, '/x', { method: 'POST', body: `body ${i}` })).status, 200)
    t.equal(good.requests.at(-1)!.body, `body ${i}`)
  }
  t.equal(good.requests.length, 6)
})

for (const { desc, init, code, want, count } of [
  { desc: 'GET after 503', init: {}, code: 503, want: 200, count: 2 },
  { desc: 'GET after 504', init: {}, code: 504, want: 200, count: 2 },
  { desc: 'PUT with its body after 502', init: { method: 'PUT', body: 'b'.repeat(50_000) }, code: 502, want: 200, count: 2 },
  { desc: 'POST with an Idempotency-Key after 503', init: { method: 'POST', body: 'x', headers: { 'idempotency-key': '1' } }, code: 503, want: 200, count: 2 },
  { desc: 'POST after 503: not again', init: { method: 'POST', body: 'x' }, code: 503, want: 503, count: 1 },
  { desc: 'PUT with a body larger than is kept: not again', init: { method: 'PUT', body: 'b'.repeat(70_000) }, code: 503, want: 503, count: 1 },
  { desc: 'GET after 500, which is not in the list: not again', init: {}, code: 500, want: 500, count: 1 },
  { desc: 'GET after 404: not again', init: {}, code: 404, want: 404, count: 1 },
]) {
  t.test(desc, async t => {
    const { gateway, upstreams: [first] } = await setUp(t, {}, (response, number) => (number === 1 ? status(code)(response) : response.end('ok')))
    t.equal((await ask(gateway, '/x', init)).status, want)
    t.equal(first!.requests.length, count)
    if (count === 2) t.equal(first!.requests[1]!.body, first!.requests[0]!.body, 'the body is sent again')
  })
}

t.test('a connection that is reset before an answer: another try for GET, none for POST', async t => {
  const { gateway, upstreams: [first] } = await setUp(t, {}, (response, number) => (number % 2 === 1 ? response.socket!.destroy() : response.end('ok')))
  t.equal((await ask(gateway)).status, 200)
  t.equal(first!.requests.length, 2)
  t.equal((await ask(gateway, '/x', { method: 'POST', body: 'x' })).status, 502)
  t.equal(first!.requests.length, 3)
})

t.test('never after a byte of an answer went out', async t => {
  const { gateway, upstreams: [first] } = await setUp(t, {}, response => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('half')
    setTimeout(() => response.socket!.destroy(), 50)
  })
  await t.rejects(ask(gateway), 'the connection is cut')
  t.equal(first!.requests.length, 1)
})

t.test('a slow head: only when timeouts are in the list', async t => {
  const slowFirst: CountingUpstream['answer'] = (response, number) => { if (number > 1) response.end('ok') }
  const { gateway } = await setUp(t, { headTimeoutMs: 100 }, slowFirst)
  t.equal((await ask(gateway)).status, 504)
  const other = await setUp(t, { retries: { perTryTimeoutMs: 100, on: ['timeout'] } }, slowFirst)
  t.equal((await ask(other.gateway)).status, 200)
})

t.test('Retry-After is waited for within maxBackoffMs, else the answer is passed on', async t => {
  const { gateway, upstreams: [first] } = await setUp(t, { retries: { maxBackoffMs: 1500 } },
    (response, number) => (number === 1 ? status(503, { 'retry-after': '1' })(response) : number === 3 ? status(503, { 'retry-after': '60' })(response) : response.end('ok')))
  const beforeMs = performance.now()
  t.equal((await ask(gateway)).status, 200)
  t.ok(performance.now() - beforeMs >= 990)
  const { status: code, headers } = await ask(gateway)
  t.equal(code, 503)
  t.equal(headers.get('retry-after'), '60')
  t.equal(first!.requests.length, 3)
})

t.test('the time that is left travels upstream, and what a client says of it does not', async t => {
  const { gateway, upstreams: [first] } = await setUp(t, {}, (response, number) => (number === 1 ? void setTimeout(() => status(503)(response), 300) : response.end('ok')))
  await ask(gateway, '/x', { headers: { 'x-request-timeout-ms': '1' } })
  const [before, after] = first!.requests.map(({ headers }) => Number(headers['x-request-timeout-ms']))
  t.equal(before, 60_000)
  t.ok(after! <= 59_700 && after! > 50_000, String(after))
})

t.test('an exchange ends at its timeout, whatever tries are left', async t => {
  const upstream = await CountingUpstream.start(() => {})
  const gateway = await GatewayProcess.start({
    accessLog: null, upstreams: { u: { endpoints: [upstream.url], retries: { attempts: 10, on: ['timeout'], perTryTimeoutMs: 100 } } }, routes: [{ ...route, timeoutMs: 350 }],
  })
  t.teardown(async () => { await gateway.stop(); await upstream.stop() })
  t.match(await ask(gateway), { status: 504, body: /GW_EXCHANGE_TIMEOUT/ })
  t.ok(upstream.requests.length >= 2 && upstream.requests.length <= 4, `${upstream.requests.length} tries`)
})

t.test('no storm: when all endpoints fail, the budget keeps retries to a fifth', async t => {
  const { gateway, upstreams } = await setUp(t, { retries: { attempts: 4, backoffMs: 1 } }, status(503), status(503))
  const count = 600
  for (let i = 0; i < count; i += 30) await Promise.all(Array.from({ length: 30 }, () => ask(gateway)))
  const seen = upstreams.reduce((sum, { requests }) => sum + requests.length, 0)
  t.ok(seen > count, 'some are tried again')
  t.ok(seen <= count * 1.2 + 3, `${seen} upstream requests for ${count}`)
})

t.test('hedging: a slow first try gets company, and the faster answer wins', async t => {
  const slow: CountingUpstream['answer'] = (response, number) => (number > 30 ? void setTimeout(() => response.end('slow'), 2000) : response.end('fast'))
  const { gateway, upstreams } = await setUp(t, { retries: { hedge: { maxRatio: 0.5, minDelayMs: 5 } } }, slow, response => response.end('fast'))
  for (let i = 0; i < 60; i++) await ask(gateway)
  const beforeMs = performance.now()
  const bodies: string[] = []
  for (let i = 0; i < 6; i++) bodies.push((await ask(gateway)).body)
  t.strictSame(bodies, Array(6).fill('fast'))
  t.ok(performance.now() - beforeMs < 2000, 'nobody waited for the slow one')
  t.ok(upstreams[0]!.requests.length > 30, 'which was asked')
  const post = ask(gateway, '/x', { method: 'POST', body: 'x' })
  const other = ask(gateway, '/x', { method: 'POST', body: 'x' })
  t.ok([(await post).body, (await other).body].includes('slow'), 'POST is never hedged')
})
