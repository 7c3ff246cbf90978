import { createServer, type Server } from 'node:http'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { makeCertificate } from '../support/certificates.ts'
import { GatewayProcess } from '../support/gateway-process.ts'
import { Load } from '../support/load.ts'
import { isWhole, RawUpstream, sendRaw } from '../support/raw.ts'

// One of the tests runs for half a minute.
t.setTimeout(240_000)

function startUpstream(port = 0): Promise<Server> {
  const server = createServer((incoming, response) => response.end(`number ${incoming.url!.split('/').at(-1)}`))
  return new Promise(resolve => server.listen(port, '127.0.0.1', () => resolve(server)))
}
const portOf = (server: Server): number => (server.address() as { port: number }).port
const stopServer = (server: Server): Promise<void> => new Promise(resolve => {
  server.close(() => resolve())
  server.closeAllConnections()
})
const configFor = (port: number, extra: object = {}): object => ({
  upstreams: { u: { endpoints: [`http://127.0.0.1:${port}`] } },
  routes: [{ id: 'n', match: { path: '/n/{number}' }, upstream: 'u' }],
  ...extra,
})

t.test('a reload every 100 ms for 30 s under load fails no request and mixes none up', { timeout: 120_000 }, async t => {
  const server = await startUpstream()
  const gateway = await GatewayProcess.start(configFor(portOf(server), { workers: 2, accessLog: null }))
  const load = new Load(gateway.port, 16)
  let published = 0
  const endMs = Date.now() + 30_000
  for (let version = 0; Date.now() < endMs; version++) {
    const extra = { workers: 2, accessLog: null, routes: [
      { id: 'n', match: { path: '/n/{number}' }, upstream: 'u' }, { id: `v${version}`, match: { path: `/v${version}` }, mock: {} },
    ] }
    const line = await gateway.reload(configFor(portOf(server), extra))
    if (line.event === 'published') published++
    await sleep(100)
  }
  const { answered, wrong, cut } = await load.stop()
  t.ok(published > 10, `${published} versions were published`)
  t.strictSame([...answered.keys()], [200])
  t.ok(answered.get(200)! > 1000, `${answered.get(200)} requests were answered`)
  t.strictSame(wrong, [])
  t.equal(cut, 0)
  t.equal(await gateway.stop(), 0)
  await stopServer(server)
})

t.test('an upstream that is killed and comes back: each request gets one answer of its own', async t => {
  let server = await startUpstream()
  const port = portOf(server)
  const gateway = await GatewayProcess.start(configFor(port, { accessLog: null }))
  const load = new Load(gateway.port, 8)
  for (let round = 0; round < 3; round++) {
    await sleep(300)
    await stopServer(server)
    await sleep(200)
    server = await startUpstream(port)
  }
  await sleep(300)
  const { answered, wrong, cut } = await load.stop()
  for (const status of answered.keys()) t.ok([200, 502].includes(status), `status ${status}`)
  t.ok(answered.get(200)! > 100)
  t.ok(answered.get(502)! > 0)
  t.strictSame(wrong, [])
  // Only answers that had begun when the upstream went may be cut.
  t.ok(cut <= 24, `${cut} were cut`)
  const after = await sendRaw(gateway.port, ['GET /n/7 HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })
  t.match(after.bytes, /^HTTP\/1.1 200 OK\r\n[^]*number 7$/)
  await gateway.stop()
  await stopServer(server)
})

t.test('a document that is not valid is told of and not served', async t => {
  const gateway = await GatewayProcess.start({ routes: [{ id: 'a', match: { path: '/a' }, mock: { body: 'one' } }] })
  const line = await gateway.reload({ routes: [{ id: 'a', match: { path: '/a' }, upstream: 'nowhere' }] })
  t.equal(line.event, 'rejected')
  t.match(String(line['problems']), 'upstream \'nowhere\' is not defined')
  t.match((await sendRaw(gateway.port, ['GET /a HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })).bytes, /one$/)
  t.equal((await gateway.reload({ routes: [{ id: 'a', match: { path: '/a' }, mock: { body: 'two' } }] })).event, 'published')
  t.match((await sendRaw(gateway.port, ['GET /a HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })).bytes, /two$/)
  await gateway.stop()
})

t.test('--watch takes a change over by itself', async t => {
  const gateway = await GatewayProcess.start({ routes: [] }, '--watch')
  gateway.write({ routes: [{ id: 'a', match: { path: '/a' }, mock: { body: 'seen' } }] })
  t.match(await gateway.event(['published']), { routes: 1 })
  t.match((await sendRaw(gateway.port, ['GET /a HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })).bytes, /seen$/)
  await gateway.stop()
})

t.test('SIGTERM: open exchanges finish, new connections are refused, the log is whole, exit 0', async t => {
  let answer = (): void => {}
  let arrived = (): void => {}
  const asked = new Promise<void>(resolve => { arrived = resolve })
  const upstream = await RawUpstream.start(socket => {
    answer = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone')
    arrived()
  })
  const gateway = await GatewayProcess.start(configFor(upstream.port))
  const open = sendRaw(gateway.port, ['GET /n/1 HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })
  await asked
  const stopped = gateway.stop()
  await gateway.event(['draining'])
  await sleep(100)
  t.match(await sendRaw(gateway.port, ['GET /n/2 HTTP/1.1\r\nHost: a\r\n\r\n']), { bytes: '', isClosed: true })
  answer()
  const { bytes } = await open
  t.match(bytes, /^HTTP\/1.1 200 OK\r\n[^]*connection: close\r\n[^]*done$/i)
  t.equal(await stopped, 0)
  t.equal(gateway.accessLog.filter(line => line['path'] === '/n/1').length, 1)
  upstream.stop()
})

t.test('what does not end within drainTimeoutMs is cut', async t => {
  let arrived = (): void => {}
  const asked = new Promise<void>(resolve => { arrived = resolve })
  const upstream = await RawUpstream.start(() => arrived())
  const gateway = await GatewayProcess.start(configFor(upstream.port, { drainTimeoutMs: 200 }))
  const open = sendRaw(gateway.port, ['GET /n/1 HTTP/1.1\r\nHost: a\r\n\r\n'])
  await asked
  t.equal(await gateway.stop(), 0)
  t.match(await open, { bytes: '', isClosed: true })
  t.match(gateway.log.at(-1), { event: 'stopped', cutExchanges: 1 })
  upstream.stop()
})

t.test('an address that is taken is an error at the start, not a silent share', async t => {
  const first = await GatewayProcess.start({ routes: [] })
  await t.rejects(GatewayProcess.start({ listeners: [{ address: `127.0.0.1:${first.port}` }], routes: [] }), /another process listens there/)
  await first.stop()
})

t.test('TLS: a certificate by server name, TLS 1.2 and up, renewed on a reload without dropping a connection', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const a = makeCertificate(folder, 'a', ['a.example'])
  const b = makeCertificate(folder, 'b', ['*.b.example'])
  const config = (body: string): object => ({
    listeners: [{ address: '127.0.0.1:0', tls: { certificates: [{ hosts: ['a.example'], ...a }, { hosts: ['*.b.example'], ...b }] } }],
    routes: [{ id: 'm', match: { path: '/m' }, mock: { body } }],
  })
  const gateway = await GatewayProcess.start(config('one'))
  const { port } = gateway
  const handshake = (servername: string | undefined, maxVersion?: 'TLSv1.1'): Promise<{ name: string; fingerprint: string } | string> => new Promise(resolve => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ...(servername && { servername }), ...(maxVersion && { maxVersion, minVersion: maxVersion }) }, () => {
      const { subject, fingerprint256 } = socket.getPeerCertificate()
      resolve({ name: String(subject.CN), fingerprint: fingerprint256 })
      socket.destroy()
    })
    socket.on('error', cause => resolve(cause.message))
  })
  t.match(await handshake('a.example'), { name: 'a.example' })
  t.match(await handshake('x.b.example'), { name: '*.b.example' })
  t.match(await handshake(undefined), { name: 'a.example' })
  t.type(await handshake('a.example', 'TLSv1.1'), 'string')
  const get = (servername: string): Promise<string> => new Promise((resolve, reject) => {
    request({ port, host: '127.0.0.1', path: '/m', servername, rejectUnauthorized: false, agent: false }, response => {
      response.on('data', chunk => resolve(String(chunk)))
    }).on('error', reject).end()
  })
  t.equal(await get('a.example'), 'one')
  t.equal(await get('x.b.example'), 'one')

  const before = await handshake('a.example') as { fingerprint: string }
  const open = connectTls({ port, host: '127.0.0.1', servername: 'a.example', rejectUnauthorized: false })
  await new Promise(resolve => open.once('secureConnect', resolve))
  const renewed = makeCertificate(folder, 'renewed', ['a.example'])
  copyFileSync(renewed.cert, a.cert)
  copyFileSync(renewed.key, a.key)
  t.equal((await gateway.reload(config('two'))).event, 'published')
  const after = await handshake('a.example') as { fingerprint: string }
  t.not(after.fingerprint, before.fingerprint)
  open.write('GET /m HTTP/1.1\r\nHost: a.example\r\n\r\n')
  t.match(String(await new Promise(resolve => open.once('data', resolve))), /two$/, 'the open connection lives on')
  open.destroy()
  await gateway.stop()
})
