import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { CountingUpstream } from '../support/counting-upstream.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const route = { id: 'all', match: { path: '/{rest+}' }, upstream: 'u' }
const ask = async (gateway: GatewayProcess, path = '/x', init: RequestInit = {}): Promise<{ status: number; body: string }> => {
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, init)
  return { status: response.status, body: await response.text() }
}

async function rawServer(test: Test, onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    onSocket(socket)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  test.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

async function start(test: Test, config: object): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start(config)
  test.teardown(() => gateway.stop())
  return gateway
}

for (const { desc, framing, pieces } of [
  { desc: 'with a length', framing: 'content-length: 10', pieces: ['AAAAA', 'BBBBB'] },
  { desc: 'in chunks', framing: 'transfer-encoding: chunked', pieces: ['5\r\nAAAAA\r\n', '5\r\nBBBBB\r\n0\r\n\r\n'] },
]) {
  t.test(`503 before the body was all there, whose end comes late: the next try gets all of the body (${desc})`, async t => {
    const early = await rawServer(t, socket => socket.once('data', () => {
      socket.write('HTTP/1.1 503 no\r\ntransfer-encoding: chunked\r\n\r\n')
      setTimeout(() => socket.write('2\r\nno\r\n0\r\n\r\n'), 60)
    }))
    const good = await CountingUpstream.start()
    t.teardown(() => good.stop())
    const gateway = await start(t, {
      accessLog: null, routes: [{ ...route, timeoutMs: 3000 }],
      upstreams: { u: { endpoints: [early, { url: good.url, priority: 1 }], panicRatio: 1, outlier: { consecutiveFailures: 1, ejectMs: 60_000 }, retries: { backoffMs: 1 } } },
    })
    const client = connect(gateway.port, '127.0.0.1')
    t.teardown(() => client.destroy())
    client.write(`PUT /x HTTP/1.1\r\nhost: a\r\n${framing}\r\n\r\n${pieces[0]}`)
    await sleep(200)
    client.write(pieces[1]!)
    const [answer] = await once(client, 'data') as [Buffer]
    t.match(answer.toString(), /^HTTP\/1.1 200 /)
    t.strictSame(good.requests.map(({ body }) => body), ['AAAAABBBBB'])
  })
}

t.test('a try that was planned does not go out after the end: upstreams see the tries of the log', async t => {
  let isWarm = false
  const bad = await CountingUpstream.start(response => { setTimeout(() => (isWarm ? response.socket!.destroy() : response.end('ok')), isWarm ? 2 : 20) })
  const good = await CountingUpstream.start(response => { setTimeout(() => response.end('ok'), isWarm ? 0 : 20) })
  t.teardown(async () => { await bad.stop(); await good.stop() })
  const gateway = await start(t, {
    upstreams: { u: { endpoints: [bad.url, good.url], balance: 'round-robin', keepAliveMs: 0, outlier: null, retries: { attempts: 3, backoffMs: 60, budgetRatio: 1, hedge: { percentile: 50, maxRatio: 1 } } } }, routes: [route],
  })
  for (let i = 0; i < 60; i++) await ask(gateway)
  isWarm = true
  for (let i = 0; i < 40; i++) t.equal((await ask(gateway)).status, 200)
  await sleep(200)
  const seen = bad.requests.length + good.requests.length
  await gateway.until(() => gateway.accessLog.length === 100)
  // One that was cancelled while it connected was never seen.
  t.ok(seen <= gateway.accessLog.reduce((sum, line) => sum + Number(line['tries']), 0))
})

t.test('an endpoint that never answers draws no traffic because hedges are faster', async t => {
  let isMute = false
  const mute = await CountingUpstream.start(response => { if (!isMute) setTimeout(() => response.end('ok'), 3) })
  const good = await CountingUpstream.start(response => { setTimeout(() => response.end('ok'), 3) })
  t.teardown(async () => { await mute.stop(); await good.stop() })
  const gateway = await start(t, { accessLog: null, upstreams: { u: { endpoints: [mute.url, good.url], retries: { hedge: { maxRatio: 1 } } } }, routes: [route] })
  for (let i = 0; i < 60; i++) await ask(gateway)
  isMute = true
  const before = mute.requests.length
  for (let i = 0; i < 200; i++) await ask(gateway)
  t.ok(mute.requests.length - before < 80, `${mute.requests.length - before} of 200`)
})

t.test('a mirror with a smaller bound on bodies takes nothing from the retries of the request itself', async t => {
  const upstream = await CountingUpstream.start((response, number) => { response.writeHead(number === 1 ? 503 : 200).end('x') })
  const shadow = await CountingUpstream.start()
  t.teardown(async () => { await upstream.stop(); await shadow.stop() })
  const gateway = await start(t, { accessLog: null, upstreams: { u: { endpoints: [upstream.url] }, s: { endpoints: [shadow.url] } }, routes: [{ ...route, mirror: { upstream: 's', maxBodyBytes: 10 } }] })
  t.equal((await ask(gateway, '/x', { method: 'PUT', body: 'b'.repeat(1000) })).status, 200)
  t.equal(upstream.requests[1]!.body.length, 1000)
  t.equal(shadow.requests.length, 0)
})

t.test('requests that fail at once leave no place taken among the copies under way', async t => {
  const upstream = await CountingUpstream.start(response => { setTimeout(() => response.end('ok'), 100) })
  const shadow = await CountingUpstream.start()
  t.teardown(async () => { await upstream.stop(); await shadow.stop() })
  const gateway = await start(t, {
    accessLog: null, upstreams: { u: { endpoints: [upstream.url], breaker: { maxInFlight: 1 } }, s: { endpoints: [shadow.url] } }, routes: [
      { id: 'hold', match: { path: '/hold' }, upstream: 'u' }, { ...route, mirror: { upstream: 's', maxInFlight: 4, compare: ['status'] } },
    ],
  })
  const holding = ask(gateway, '/hold')
  await sleep(30)
  for (let i = 0; i < 8; i++) t.equal((await ask(gateway)).status, 503)
  await holding
  const before = shadow.requests.length
  t.equal((await ask(gateway)).status, 200)
  await sleep(50)
  t.equal(shadow.requests.length, before + 1)
})

t.test('pipelining: a client that leaves does not cut the answer in front of its own, nor does its head timeout', async t => {
  const slow = await rawServer(t, socket => socket.once('data', async () => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n')
    for (let i = 0; i < 8; i++) {
      await sleep(100)
      socket.write('x')
    }
  }))
  const gateway = await start(t, { accessLog: null, upstreams: { u: { endpoints: [slow], pipelining: 4, maxConnections: 1, headTimeoutMs: 300, outlier: null, retries: { attempts: 1 } } }, routes: [route] })
  const first = ask(gateway)
  await sleep(150)
  const leaving = connect(gateway.port, '127.0.0.1')
  leaving.write('GET /x HTTP/1.1\r\nhost: a\r\n\r\n')
  const late = ask(gateway)
  await sleep(100)
  leaving.destroy()
  t.equal((await late).status, 504)
  t.strictSame(await first, { status: 200, body: 'xxxxxxxx' })
})

t.test('a drain does not wait for copies that wait for a connection', async t => {
  const upstream = await CountingUpstream.start()
  const mute = await rawServer(t, socket => socket.resume())
  t.teardown(() => upstream.stop())
  const gateway = await start(t, { accessLog: null, upstreams: { u: { endpoints: [upstream.url] }, s: { endpoints: [mute], maxConnections: 1 } }, routes: [{ ...route, mirror: { upstream: 's' } }] })
  for (let i = 0; i < 5; i++) await ask(gateway)
  const beforeMs = performance.now()
  t.equal(await gateway.stop(), 0)
  t.ok(performance.now() - beforeMs < 2000)
})

t.test('a TLS peer that hangs up in the handshake was sent nothing: another endpoint is asked, for any method', async t => {
  const closing = await rawServer(t, socket => socket.end())
  const good = await CountingUpstream.start()
  t.teardown(() => good.stop())
  const gateway = await start(t, { accessLog: null, upstreams: { u: { endpoints: [closing.replace('http:', 'https:'), good.url], balance: 'round-robin', outlier: null } }, routes: [route] })
  for (let i = 0; i < 4; i++) t.equal((await ask(gateway, '/x', { method: 'POST', body: 'x' })).status, 200)
})
