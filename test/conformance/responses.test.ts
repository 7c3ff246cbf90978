import type { Socket } from 'node:net'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { isWhole, RawUpstream, sendRaw } from '../support/raw.ts'

type Script = (socket: Socket, received: string, connection: number) => void
let script: Script = () => {}
const upstream = await RawUpstream.start((socket, received, connection) => script(socket, received, connection))
const closed = await RawUpstream.start(() => {})
const closedUrl = closed.url
closed.stop()
const gateway = await GatewayProcess.start({
  upstreams: {
    u: { endpoints: [upstream.url], headTimeoutMs: 300, idleTimeoutMs: 300 },
    dead: { endpoints: [closedUrl] },
    unresolved: { endpoints: ['http://name.invalid'] },
    narrow: { endpoints: [upstream.url], maxConnections: 1, breaker: { maxPending: 1, pendingTimeoutMs: 200, maxInFlight: 100 } },
  },
  routes: [
    { id: 'dead', match: { path: '/dead' }, upstream: 'dead' },
    { id: 'unresolved', match: { path: '/unresolved' }, upstream: 'unresolved' },
    { id: 'narrow', match: { path: '/narrow' }, upstream: 'narrow' },
    { id: 'short', match: { path: '/short' }, upstream: 'narrow', timeoutMs: 200 },
    { id: 'changed', match: { path: '/changed/{id}' }, upstream: 'u',
      request: { path: '/v1/{id}', headers: { set: { 'x-id': '{id}', 'x-q': '{query.q}' }, remove: ['cookie'] } },
      response: { headers: { set: { 'x-by': '{request.id}' }, remove: ['server'] } } },
    { id: 'u', match: { path: '/{rest+}' }, upstream: 'u' },
  ],
})
t.teardown(async () => {
  await gateway.stop()
  upstream.stop()
})

const get = (path: string, quietMs = 3000) => sendRaw(gateway.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`], { until: isWhole, quietMs })

for (const { desc, answer, ends, status, body } of [
  { desc: 'Content-Length', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello', ends: false, status: 200, body: 'hello' },
  { desc: 'chunked', answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n', ends: false, status: 200, body: 'hello' },
  { desc: 'until close', answer: 'HTTP/1.1 200 OK\r\n\r\nhello', ends: true, status: 200, body: 'hello' },
  { desc: 'interim answers', answer: 'HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno', ends: false, status: 404, body: 'no' },
]) {
  t.test(`${desc}: passed on however it is cut`, async t => {
    for (let at = 0; at < answer.length; at++) {
      script = socket => {
        socket.write(answer.slice(0, at))
        setTimeout(() => { if (ends) socket.end(answer.slice(at)); else socket.write(answer.slice(at)) }, 2)
      }
      const { bytes } = await get('/x')
      t.match(bytes, new RegExp(`^HTTP/1.1 ${status} `))
      const got = bytes.slice(bytes.indexOf('\r\n\r\n') + 4)
      t.equal(/transfer-encoding: chunked/i.test(bytes) ? got.replace(/\r\n0\r\n\r\n$/, '\r\n').replace(/[0-9a-f]+\r\n([^\r]*)\r\n/g, '$1') : got, body, `cut at ${at}`)
    }
  })
}

const failures: { desc: string; path?: string; script: Script; status: number; code: string }[] = [
  { desc: 'refused', path: '/dead', script: () => {}, status: 502, code: 'GW_UPSTREAM_REFUSED' },
  { desc: 'a name that does not resolve', path: '/unresolved', script: () => {}, status: 502, code: 'GW_UPSTREAM_UNRESOLVED' },
  { desc: 'garbage', script: socket => socket.write('garbage\r\n\r\n'), status: 502, code: 'GW_UPSTREAM_PROTOCOL' },
  { desc: 'ambiguous framing', script: socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'), status: 502, code: 'GW_UPSTREAM_PROTOCOL' },
  { desc: 'a head without an end', script: socket => socket.write(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(40_000)}`), status: 502, code: 'GW_UPSTREAM_HEAD_TOO_LARGE' },
  { desc: 'silence', script: () => {}, status: 504, code: 'GW_UPSTREAM_HEAD_TIMEOUT' },
  { desc: 'a reset', script: socket => socket.resetAndDestroy(), status: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'a close without an answer', script: socket => socket.end(), status: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'a close in the head', script: socket => socket.end('HTTP/1.1 200 OK\r\nX-A'), status: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'the exchange takes too long', path: '/short', script: () => {}, status: 504, code: 'GW_EXCHANGE_TIMEOUT' },
]
for (const { desc, path, script: run, status, code } of failures) {
  t.test(`${desc}: ${status} ${code}`, async t => {
    script = run
    const { bytes } = await get(path ?? '/x')
    t.match(bytes, new RegExp(`^HTTP/1.1 ${status} `))
    t.match(bytes, code)
  })
}

for (const { desc, answer } of [
  { desc: 'a body of known length', answer: 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf' },
  { desc: 'a chunked body', answer: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n' },
]) {
  for (const [how, end] of [['close', (socket: Socket) => socket.end()], ['reset', (socket: Socket) => socket.resetAndDestroy()], ['silence', () => {}]] as const) {
    t.test(`${desc} that is cut off by ${how} never looks whole`, async t => {
      script = socket => {
        socket.write(answer)
        setTimeout(() => end(socket), 20)
      }
      const { bytes, isClosed } = await get('/x')
      t.ok(isClosed, 'the connection is closed')
      t.notOk(bytes.length > 0 && isWhole(bytes))
    })
  }
}

t.test('the queue for a connection is bounded in number and time', async t => {
  script = () => {}
  const answers = await Promise.all(Array.from({ length: 4 }, () => sendRaw(gateway.port, ['GET /narrow HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole, quietMs: 800 })))
  const all = answers.map(answer => answer.bytes).join('')
  t.equal(all.split('GW_UPSTREAM_PENDING_FULL').length - 1, 2)
  t.equal(all.split('GW_UPSTREAM_PENDING_TIMEOUT').length - 1, 1)
  t.match(all, /retry-after: 1/)
})

t.test('a connection that was closed while idle costs an idempotent request nothing', async t => {
  const first = upstream.connections
  const seen: number[] = []
  script = (socket, received, connection) => {
    const requests = received.split('\r\n\r\n').length - 1
    seen.push(connection)
    if (requests === 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    else socket.resetAndDestroy()
  }
  t.match((await get('/x')).bytes, /^HTTP\/1.1 200/)
  t.match((await get('/x')).bytes, /^HTTP\/1.1 200/)
  t.ok(upstream.connections > first, 'on a new connection')
  const post = 'POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'
  t.match((await sendRaw(gateway.port, [post], { until: isWhole })).bytes, /^HTTP\/1.1 502/, 'a POST is not sent twice')
})

t.test('bytes that nobody asked for end the connection, and spoil no answer', async t => {
  script = socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil')
  for (let i = 0; i < 3; i++) {
    const { bytes } = await get('/x')
    t.match(bytes, /\r\n\r\nok$/)
  }
})

t.test('a client that leaves ends the request to the upstream', async t => {
  let left = (): void => {}
  const gone = new Promise<void>(resolve => { left = resolve })
  let asked = (): void => {}
  const arrived = new Promise<void>(resolve => { asked = resolve })
  script = socket => {
    socket.on('close', () => left())
    asked()
  }
  void sendRaw(gateway.port, ['GET /narrow HTTP/1.1\r\nHost: a\r\n\r\n'], { quietMs: 100 })
  await arrived
  await gone
  await gateway.until(() => gateway.accessLog.some(line => line['failure'] === 'GW_CLIENT_GONE'))
  t.ok(true, 'the upstream saw the close and the log tells of it')
})

t.test('paths and headers are rewritten, and no value ends a line', async t => {
  let seen = ''
  script = (socket, received) => {
    seen = received
    socket.write('HTTP/1.1 200 OK\r\nServer: x\r\nX-Up: 1\r\nContent-Length: 2\r\n\r\nok')
  }
  const { bytes } = await sendRaw(gateway.port, ['GET /changed/a%0d%0ab?q=1%0d%0aX-Evil:1 HTTP/1.1\r\nHost: a\r\nCookie: c\r\n\r\n'], { until: isWhole })
  const request = seen.slice(seen.lastIndexOf('GET '))
  t.match(request, 'GET /v1/a%0D%0Ab?q=1%0d%0aX-Evil:1 HTTP/1.1\r\n')
  t.match(request, 'x-id: a%0D%0Ab\r\n')
  t.match(request, 'x-q: 1%0D%0AX-Evil%3A1\r\n')
  t.notMatch(request, /cookie/)
  t.match(bytes, /x-by: \S+\r\n/)
  t.match(bytes, /x-up: 1\r\n/)
  t.notMatch(bytes, /server: x/i)
})

t.test('every exchange stands in the access log once, with its failure', async t => {
  script = socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const marker = `/marker-${Date.now()}`
  await get(marker)
  await gateway.until(() => gateway.accessLog.some(line => line['path'] === marker))
  const lines = gateway.accessLog.filter(line => line['path'] === marker)
  t.equal(lines.length, 1)
  t.match(lines[0], { status: 200, route: 'u', bytesOut: 2, tries: 1, endpoint: upstream.url, failure: null, client: '127.0.0.1', method: 'GET' })
})
