import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import t, { type Test } from 'tap'
import type { HealthConfig } from '../../../src/control/health/http-probe.ts'
import { Prober } from '../../../src/control/health/prober.ts'
import { type EndpointInput, parseEndpoint } from '../../../src/upstream/endpoint.ts'
import { makeCertificate } from '../../support/certificates.ts'
import { Random } from '../../support/random.ts'

/** No probe runs into its time, however slow the machine. */
const HEALTH: HealthConfig = {
  type: 'http', path: '/health?x=1', host: null, intervalMs: 10, timeoutMs: 60_000, healthyAfter: 2, unhealthyAfter: 3, statuses: [200, 204], bodyContains: null,
}

type Transition = { readonly url: string; readonly isHealthy: boolean; readonly reason: string }

function startProber(t: Test, health: Partial<HealthConfig>, tls: (host: string) => ConnectionOptions = () => ({})) {
  const transitions: Transition[] = []
  const random = new Random(7)
  const prober = new Prober({ ...HEALTH, ...health }, tls, {
    onTransition: (url, isHealthy, reason) => { transitions.push({ url, isHealthy, reason }) },
  }, { random: () => random.next() })
  t.teardown(() => prober.stop())
  return { prober, transitions, probe: (...endpoints: EndpointInput[]) => prober.update(endpoints.map(parseEndpoint)) }
}

async function listen(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => { /* Probes are cut off. */ })
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

/** An HTTP server that answers its n-th request, counted from 0, by `answer`. */
async function startServer(t: Test, answer: (response: ServerResponse, n: number) => void) {
  const requests: IncomingMessage[] = []
  const listener: RequestListener = (request, response) => { answer(response, requests.push(request) - 1) }
  const server = createServer(listener)
  let connections = 0
  server.on('connection', () => { connections++ })
  const url = `http://127.0.0.1:${await listen(t, server)}`
  return { url, requests, connections: () => connections }
}

const status = (response: ServerResponse, code: number): void => { response.writeHead(code).end() }

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise(resolve => setTimeout(resolve, 2))
}

for (const { desc, statuses, after, want } of [
  { desc: 'goes down after exactly unhealthyAfter failures', statuses: [503, 503, 503], after: 3, want: [{ isHealthy: false, reason: 'status 503' }] },
  { desc: 'comes back after exactly healthyAfter successes', statuses: [500, 500, 404, 200, 204], after: 5,
    want: [{ isHealthy: false, reason: 'status 404' }, { isHealthy: true, reason: 'ok' }] },
  { desc: 'a success in between starts the count anew, and so does a failure', statuses: [500, 500, 200, 500, 500, 500, 200, 500, 200, 200], after: 10,
    want: [{ isHealthy: false, reason: 'status 500' }, { isHealthy: true, reason: 'ok' }] },
  { desc: 'flapping below the thresholds is no transition', statuses: [500, 500, 200, 500, 200, 500, 500, 200], after: 8, want: [] },
]) {
  t.test(desc, async t => {
    const seen: number[] = []
    const server = await startServer(t, (response, n) => {
      seen.push(transitions.length)
      status(response, statuses[n] ?? statuses.at(-1)!)
    })
    const { transitions, probe, prober } = startProber(t, {})
    probe(server.url)
    t.strictSame([...prober.states()], [[server.url, true]], 'healthy before the first probe')
    // Two more successes: nothing comes late.
    await until(() => seen.length >= after + 2)
    t.match(transitions, want)
    t.equal(transitions.length, want.length)
    t.equal(seen[after], want.length, 'the last transition was there before the next probe')
    if (want.length > 0) t.equal(seen[after - 1], want.length - 1, 'and not before the last result')
    t.strictSame([...prober.states()], [[server.url, want.at(-1)?.isHealthy ?? true]])
  })
}

for (const { desc, health, answer, want } of [
  { desc: 'a status of the list is a success', health: { statuses: [418] }, answer: (response: ServerResponse) => status(response, 418), want: null },
  { desc: 'any other is not', health: { statuses: [418] }, answer: (response: ServerResponse) => status(response, 200), want: 'status 200' },
  { desc: 'the body holds the text, over the border of two pieces', health: { bodyContains: 'läuft' },
    answer: (response: ServerResponse) => {
      const bytes = Buffer.from('es läuft')
      response.write(bytes.subarray(0, 5))
      setImmediate(() => response.end(bytes.subarray(5)))
    }, want: null },
  { desc: 'the body does not hold the text', health: { bodyContains: 'up' }, answer: (response: ServerResponse) => { response.end('down') }, want: 'body does not contain the text' },
  { desc: 'the text behind the first 64 KiB is not read', health: { bodyContains: 'up' },
    answer: (response: ServerResponse) => { response.end(`${' '.repeat(65_535)}up`) }, want: 'body does not contain the text' },
  { desc: 'the text at the end of the first 64 KiB is', health: { bodyContains: 'up' },
    answer: (response: ServerResponse) => { response.end(`${' '.repeat(65_534)}up and more`) }, want: null },
  { desc: 'a body without an end is cut', health: { bodyContains: 'up' },
    answer: (response: ServerResponse) => {
      response.write('up')
      const timer = setInterval(() => response.write(' '.repeat(16_384)), 1)
      response.on('close', () => clearInterval(timer))
    }, want: null },
  { desc: 'a body that breaks off is a failure', health: {},
    answer: (response: ServerResponse) => {
      response.writeHead(200, { 'content-length': 10 }).write('half')
      setImmediate(() => response.destroy())
    }, want: 'ECONNRESET' },
  { desc: 'no answer is a failure', health: {}, answer: (response: ServerResponse) => { response.destroy() }, want: 'ECONNRESET' },
  { desc: 'what is not HTTP is a failure', health: {}, answer: (response: ServerResponse) => { response.socket!.end('SSH-2.0\r\n') }, want: 'HPE_INVALID_CONSTANT' },
  { desc: 'a head without an end is a failure', health: {},
    answer: (response: ServerResponse) => { response.socket!.write(`HTTP/1.1 200 OK\r\nx: ${'x'.repeat(20_000)}`) }, want: 'HPE_HEADER_OVERFLOW' },
  { desc: 'an upgrade that nobody asked for is a failure', health: { statuses: [101] },
    answer: (response: ServerResponse) => { response.socket!.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n') }, want: 'status 101' },
  { desc: 'a server that says nothing has its time', health: { timeoutMs: 20 }, answer: () => { /* Nothing. */ }, want: 'timeout' },
  { desc: 'a body that stalls has the same time', health: { timeoutMs: 50 }, answer: (response: ServerResponse) => { response.writeHead(200).write('half') }, want: 'timeout' },
  { desc: 'a path that can\'t be sent is a failure, not the end of the primary', health: { path: '/a b' }, answer: () => { /* Never asked. */ }, want: 'ERR_UNESCAPED_CHARACTERS' },
  { desc: 'nor is a host', health: { host: 'a\r\nb' }, answer: () => { /* Never asked. */ }, want: 'ERR_INVALID_CHAR' },
]) {
  t.test(desc, async t => {
    const server = await startServer(t, answer)
    const { transitions, probe } = startProber(t, { ...health, unhealthyAfter: 1 })
    probe(server.url)
    // The third probe: two have ended.
    await until(() => (want === null ? server.requests.length >= 3 : transitions.length > 0))
    t.strictSame(transitions, want === null ? [] : [{ url: server.url, isHealthy: false, reason: want }])
  })
}

for (const type of ['http', 'tcp'] as const) {
  t.test(`${type}: nothing listens there`, async t => {
    const server = createServer()
    const port = await listen(t, server)
    server.close()
    const { transitions, probe } = startProber(t, { type, unhealthyAfter: 2 })
    const url = `http://127.0.0.1:${port}`
    probe(url)
    await until(() => transitions.length > 0)
    t.strictSame(transitions, [{ url, isHealthy: false, reason: 'ECONNREFUSED' }])
  })
}

for (const { desc, host, name, want } of [
  { desc: 'asks with the host of the endpoint', host: null, name: null, want: '127.0.0.1:PORT' },
  { desc: 'asks with the name that the address was found by', host: null, name: 'users.internal', want: 'users.internal:PORT' },
  { desc: 'asks with the host of the document', host: 'health.example', name: 'users.internal', want: 'health.example' },
]) {
  t.test(`${desc}, each time on a fresh connection`, async t => {
    const server = await startServer(t, response => { response.end('ok') })
    const { probe, transitions } = startProber(t, { host, unhealthyAfter: 1 })
    probe({ url: server.url, name })
    await until(() => server.requests.length >= 3)
    t.equal(server.connections(), server.requests.length)
    const { method, url, headers } = server.requests[2]!
    t.match({ method, url, headers }, { method: 'GET', url: '/health?x=1', headers: {
      host: want.replace('PORT', server.url.split(':')[2]!), 'user-agent': 'penstock-health', connection: 'close',
    } })
    t.strictSame(transitions, [])
  })
}

t.test('tcp: connects and closes, and sends nothing', async t => {
  let closed = 0
  const received: Buffer[] = []
  const port = await listen(t, createTcpServer(socket => {
    socket.on('data', bytes => received.push(bytes))
    socket.on('end', () => { closed++ })
  }))
  const { probe, transitions } = startProber(t, { type: 'tcp', unhealthyAfter: 1 })
  probe(`http://127.0.0.1:${port}`)
  await until(() => closed >= 3)
  t.strictSame({ transitions, received }, { transitions: [], received: [] })
})

for (const type of ['http', 'tcp'] as const) {
  for (const { desc, isTrusted, name, want } of [
    { desc: 'a certificate of an authority that is trusted', isTrusted: true, name: 'users.internal', want: null },
    { desc: 'a certificate of no one', isTrusted: false, name: 'users.internal', want: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    { desc: 'a certificate for another name', isTrusted: true, name: 'orders.internal', want: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  ]) {
    t.test(`${type} with TLS: ${desc}`, async t => {
      const { cert, key } = makeCertificate(t.testdir(), 'server', ['users.internal'])
      const names = new Set<string>()
      let answered = 0
      const server = createHttpsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
        names.add(request.headers.host!)
        response.end('ok')
      })
      server.on('secureConnection', socket => {
        names.add(String(socket.servername))
        socket.on('close', () => { answered++ })
      })
      const port = await listen(t, server)
      const url = `https://127.0.0.1:${port}`
      const ca = isTrusted ? { ca: readFileSync(cert) } : {}
      const { probe, transitions } = startProber(t, { type, unhealthyAfter: 1 }, host => ({ ...ca, servername: host }))
      probe({ url, name })
      await until(() => (want === null ? answered >= 3 : transitions.length > 0))
      t.strictSame(transitions, want === null ? [] : [{ url, isHealthy: false, reason: want }])
      if (want === null) t.strictSame([...names], type === 'http' ? [name, `${name}:${port}`] : [name])
    })
  }
}

t.test('the server name is not taken from Host: the data path does not either', async t => {
  const { cert, key } = makeCertificate(t.testdir(), 'server', ['users.internal'])
  const names: unknown[] = []
  const server = createHttpsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (_request, response) => { response.end() })
  server.on('secureConnection', socket => names.push(socket.servername))
  const port = await listen(t, server)
  const { probe } = startProber(t, { host: 'other.example' }, () => ({ rejectUnauthorized: false }))
  probe(`https://127.0.0.1:${port}`)
  await until(() => names.length > 0)
  t.equal(names[0], false)
})

t.test('one probe of an endpoint at a time', async t => {
  let open = 0
  let most = 0
  const server = await startServer(t, response => {
    most = Math.max(most, ++open)
    setTimeout(() => {
      open--
      response.end()
    }, 30)
  })
  const { probe } = startProber(t, { intervalMs: 10 })
  probe(server.url)
  await until(() => server.requests.length >= 4)
  t.equal(most, 1)
})

t.test('endpoints come and go; one that stays keeps its state', async t => {
  const down = await startServer(t, response => status(response, 500))
  const up = await startServer(t, response => status(response, 200))
  const { probe, prober, transitions } = startProber(t, { unhealthyAfter: 2 })
  probe(down.url)
  await until(() => transitions.length === 1)

  probe(up.url, { url: down.url, weight: 5 })
  await until(() => up.requests.length >= 3)
  t.strictSame(Object.fromEntries(prober.states()), { [down.url]: false, [up.url]: true })
  t.equal(transitions.length, 1)

  probe(up.url)
  t.strictSame([...prober.states()], [[up.url, true]])
  // One that was on its way may still arrive.
  const before = down.requests.length + 1
  const upBefore = up.requests.length
  await until(() => up.requests.length >= upBefore + 4)
  t.ok(down.requests.length <= before, 'one that is gone is not asked any more')

  probe(up.url, down.url)
  t.equal(prober.states().get(down.url), true, 'one that is new counts as healthy')
  await until(() => transitions.length === 2)
  t.strictSame(transitions[1], { url: down.url, isHealthy: false, reason: 'status 500' })
})

t.test('no event after stop, and the probe under way is cut off', async t => {
  let isCut = false
  const silent = await startServer(t, response => { response.on('close', () => { isCut = true }) })
  const down = await startServer(t, response => status(response, 500))
  const { probe, prober, transitions } = startProber(t, { unhealthyAfter: 2, timeoutMs: 60_000 })
  probe(silent.url, down.url)
  await until(() => silent.requests.length === 1 && down.requests.length >= 1)
  prober.stop()
  const eventsAtStop = transitions.length
  const asked = down.requests.length
  await until(() => isCut)
  probe(down.url)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(transitions.length, eventsAtStop)
  t.ok(down.requests.length <= asked + 1, 'at most the one that was on its way')
  t.equal(prober.states().size, 0)
})

t.test('may be stopped by what its event calls', async t => {
  const down = await startServer(t, response => status(response, 500))
  const prober: Prober = new Prober({ ...HEALTH, unhealthyAfter: 1 }, () => ({}), { onTransition: () => prober.stop() }, { random: () => 0.5 })
  prober.update([parseEndpoint(down.url)])
  await until(() => down.requests.length === 1)
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(down.requests.length, 1)
})
