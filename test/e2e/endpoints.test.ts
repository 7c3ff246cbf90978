import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { CountingUpstream } from '../support/counting-upstream.ts'
import { DnsServer } from '../support/dns-server.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const route = { id: 'all', match: { path: '/{rest+}' }, upstream: 'u' }
const named = (name: string): Promise<CountingUpstream> => CountingUpstream.start(response => response.end(name))
async function ask(gateway: GatewayProcess, headers: Record<string, string> = {}): Promise<{ status: number; body: string; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}/x`, { headers })
  return { status: response.status, body: await response.text(), headers: response.headers }
}
async function bodies(gateway: GatewayProcess, count: number): Promise<Set<string>> {
  const seen = new Set<string>()
  for (let i = 0; i < count; i++) seen.add((await ask(gateway)).body)
  return seen
}
/** Asks until the answers are as wanted. */
async function until(gateway: GatewayProcess, want: readonly string[]): Promise<void> {
  for (;;) {
    const seen = await bodies(gateway, 12)
    if ([...seen].sort().join() === [...want].sort().join()) return
  }
}
async function start(test: Test, upstream: object, ...stopped: { stop(): unknown }[]): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({ accessLog: null, upstreams: { u: { balance: 'round-robin', slowStartMs: 0, ...upstream } }, routes: [route] })
  test.teardown(async () => {
    await gateway.stop()
    for (const each of stopped) await each.stop()
  })
  return gateway
}

t.test('active health: an endpoint that fails its probes gets nothing, until they succeed again', async t => {
  let isWell = true
  const [a, b] = [await named('a'), await CountingUpstream.start((response, _number, request) => {
    if (request.url === '/healthz') response.writeHead(isWell ? 200 : 503)
    response.end('b')
  })]
  const gateway = await start(t, { endpoints: [a.url, b.url], outlier: null, health: { path: '/healthz', intervalMs: 50, healthyAfter: 2, unhealthyAfter: 2 } }, a, b)
  t.strictSame(await bodies(gateway, 12), new Set(['a', 'b']))
  isWell = false
  t.match(await gateway.event(['endpointUnhealthy']), { upstream: 'u', endpoint: b.url, reason: 'status 503' })
  await until(gateway, ['a'])
  isWell = true
  t.match(await gateway.event(['endpointHealthy']), { upstream: 'u', endpoint: b.url })
  await until(gateway, ['a', 'b'])
})

t.test('passive: failures in a row eject an endpoint; it comes back by itself', async t => {
  const [a, b] = [await named('a'), await CountingUpstream.start(response => response.writeHead(503).end('b'))]
  const gateway = await start(t, { endpoints: [a.url, b.url], retries: { attempts: 1 }, outlier: { consecutiveFailures: 3, ejectMs: 1000 } }, a, b)
  await bodies(gateway, 10)
  t.match(await gateway.event(['endpointEjected']), { upstream: 'u', endpoint: b.url, reason: 'consecutive', forMs: 1000 })
  const before = b.requests.length
  t.strictSame(await bodies(gateway, 10), new Set(['a']))
  t.equal(b.requests.length, before)
  b.answer = response => response.end('b')
  await until(gateway, ['a', 'b'])
})

t.test('backups serve when too few of the first group are there, and no longer', async t => {
  let isWell = true
  const probed = (name: string): Promise<CountingUpstream> => CountingUpstream.start((response, _number, request) => {
    if (request.url === '/healthz') response.writeHead(isWell ? 200 : 503)
    response.end(name)
  })
  const [a, b, backup] = [await probed('a'), await probed('b'), await named('backup')]
  const gateway = await start(t, { endpoints: [a.url, b.url, { url: backup.url, priority: 1 }], health: { path: '/healthz', intervalMs: 50, healthyAfter: 1, unhealthyAfter: 1 } }, a, b, backup)
  t.strictSame(await bodies(gateway, 12), new Set(['a', 'b']))
  isWell = false
  await until(gateway, ['backup'])
  isWell = true
  await until(gateway, ['a', 'b'])
})

t.test('panic: when all are sick and there is no backup, health is ignored', async t => {
  const [a, b] = [await named('a'), await named('b')]
  const gateway = await start(t, { endpoints: [a.url, b.url], health: { statuses: [418], intervalMs: 50, unhealthyAfter: 1 } }, a, b)
  t.match(await gateway.event(['panic']), { upstream: 'u', endpoints: 2 })
  await until(gateway, ['a', 'b'])
})

t.test('discovery by file: endpoints come and go without a reload', async t => {
  const [a, b] = [await named('a'), await named('b')]
  const gateway = await start(t, { endpoints: [], discovery: { file: 'endpoints.json', intervalMs: 100 } }, a, b)
  t.match(await ask(gateway), { status: 503, body: /GW_UPSTREAM_NO_ENDPOINT/ })
  t.match(await gateway.event(['discoveryFailed']), { upstream: 'u' })
  const write = (text: string): void => {
    writeFileSync(join(gateway.folder, 'next.json'), text)
    renameSync(join(gateway.folder, 'next.json'), join(gateway.folder, 'endpoints.json'))
  }
  write(JSON.stringify([a.url]))
  await until(gateway, ['a'])
  write(JSON.stringify([{ url: a.url }, { url: b.url, weight: 1 }]))
  await until(gateway, ['a', 'b'])
  write('[ broken')
  t.match(await gateway.event(['discoveryFailed'], gateway.log.length), { upstream: 'u', problem: /JSON/ })
  t.strictSame(await bodies(gateway, 12), new Set(['a', 'b']), 'what was known stays')
  write(JSON.stringify([b.url]))
  await until(gateway, ['b'])
})

t.test('discovery by DNS: every address of a name, its name in Host; a resolver that is away changes nothing', async t => {
  const dns = await DnsServer.start()
  dns.set('users.internal', { a: ['127.0.0.1'], ttlSeconds: 0 })
  const upstream = await CountingUpstream.start((response, _number, request) => response.end(request.headers.host))
  const { port } = upstream
  const gateway = await start(t, { discovery: { dns: `http://users.internal:${port}`, resolver: dns.address, intervalMs: 100, timeoutMs: 500 } }, upstream, dns)
  t.equal((await ask(gateway)).body, `users.internal:${port}`)
  dns.isSilent = true
  t.match(await gateway.event(['discoveryFailed']), { upstream: 'u' })
  t.equal((await ask(gateway)).status, 200)
  dns.isSilent = false
  dns.set('users.internal', { a: ['127.0.0.1', '127.0.0.2'], ttlSeconds: 0 })
  await gateway.until(() => gateway.log.some(line => line.event === 'endpointsChanged' && String(line['added']).includes('127.0.0.2')))
  t.equal((await ask(gateway)).body, `users.internal:${port}`)
})

t.test('a reload that changes nothing about an upstream keeps what was found and probed', async t => {
  const [a, b] = [await named('a'), await CountingUpstream.start((response, _number, request) => response.writeHead(request.url === '/' ? 503 : 200).end('b'))]
  const config = { accessLog: null, upstreams: { u: { endpoints: [a.url, b.url], balance: 'round-robin', health: { intervalMs: 60, unhealthyAfter: 1 } } }, routes: [route] }
  const gateway = await GatewayProcess.start(config)
  t.teardown(async () => { await gateway.stop(); await a.stop(); await b.stop() })
  await until(gateway, ['a'])
  await gateway.reload({ ...config, routes: [route, { id: 'more', match: { path: '/more' }, mock: {} }] })
  t.strictSame(await bodies(gateway, 12), new Set(['a']))
})

t.test('sticky: a client stays with its endpoint; a forged or outlived cookie is replaced', async t => {
  const [a, b] = [await named('a'), await named('b')]
  const gateway = await start(t, { endpoints: [a.url, b.url], balance: { sticky: { cookie: 'stick', secret: 'a secret of sixteen' } } }, a, b)
  const first = await ask(gateway)
  const cookie = first.headers.get('set-cookie')!
  t.match(cookie, /^stick=[\w-]{16,}; Path=\/; HttpOnly; SameSite=Lax$/)
  t.notMatch(cookie, /127|http/)
  const value = cookie.split(';')[0]!
  for (let i = 0; i < 12; i++) {
    const { body, headers } = await ask(gateway, { cookie: `other=1; ${value}` })
    t.equal(body, first.body)
    t.equal(headers.get('set-cookie'), null, 'told once')
  }
  t.ok((await ask(gateway, { cookie: `${value}x` })).headers.get('set-cookie'))
})

t.test('hash: one value, one endpoint; many values, all endpoints', async t => {
  const [a, b, c] = [await named('a'), await named('b'), await named('c')]
  const gateway = await start(t, { endpoints: [a.url, b.url, c.url], balance: { hash: 'header:x-user' } }, a, b, c)
  const homes = new Set<string>()
  for (let user = 0; user < 20; user++) {
    const { body } = await ask(gateway, { 'x-user': `u${user}` })
    for (let i = 0; i < 3; i++) t.equal((await ask(gateway, { 'x-user': `u${user}` })).body, body)
    homes.add(body)
  }
  t.equal(homes.size, 3)
})

t.test('the breaker opens, answers at once with Retry-After, tries again and closes', async t => {
  const a = await CountingUpstream.start(response => response.writeHead(503).end())
  const gateway = await start(t, { endpoints: [a.url], retries: { attempts: 1 }, outlier: null, breaker: { failureRatio: 0.5, minRequests: 10, openMs: 1500, halfOpenRequests: 2 } }, a)
  await bodies(gateway, 10)
  t.match(await gateway.event(['breakerChanged']), { upstream: 'u', state: 'open' })
  const refused = await ask(gateway)
  t.match(refused, { status: 503, body: /GW_UPSTREAM_BREAKER_OPEN/ })
  t.match(refused.headers.get('retry-after'), /^[12]$/)
  t.equal(a.requests.length, 10)
  a.answer = response => response.end('well')
  await until(gateway, ['well'])
  await gateway.until(() => gateway.log.some(line => line.event === 'breakerChanged' && line['state'] === 'closed'))
})

t.test('an adaptive limit answers at once what would only wait', async t => {
  const a = await CountingUpstream.start(response => { setTimeout(() => response.end('a'), 200) })
  const gateway = await start(t, { endpoints: [a.url], retries: { attempts: 1 }, breaker: { adaptive: { minInFlight: 1, maxInFlight: 2 } } }, a)
  const answers = await Promise.all(Array.from({ length: 5 }, () => ask(gateway)))
  t.strictSame(answers.map(({ status }) => status).sort(), [200, 200, 503, 503, 503])
  const refused = answers.find(({ status }) => status === 503)!
  t.match(refused.body, 'GW_UPSTREAM_LIMITED')
  t.ok(refused.headers.get('retry-after'))
  t.equal((await ask(gateway)).status, 200)
})
