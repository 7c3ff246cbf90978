import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { isWhole, RawUpstream, sendRaw } from '../support/raw.ts'

const upstream = await RawUpstream.start((socket, received) => {
  if (received.endsWith('\r\n\r\n') || received.endsWith('BODY')) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
})
const gateway = await GatewayProcess.start({
  upstreams: { u: { endpoints: [upstream.url] } },
  bounds: { maxUriBytes: 200, maxBodyBytes: 100 },
  routes: [
    { id: 'mock', match: { path: '/mock' }, mock: { headers: { 'x-m': '1' }, body: 'mocked' } },
    { id: 'get', match: { path: '/only-get', methods: ['GET'] }, mock: { body: 'got' } },
    { id: 'empty', match: { path: '/empty' }, mock: { status: 204 } },
    { id: 'all', match: { path: '/u/{rest+}' }, upstream: 'u' },
  ],
})
t.teardown(async () => {
  await gateway.stop()
  upstream.stop()
})

const head = (lines: string, method = 'POST', target = '/u/x'): string => `${method} ${target} HTTP/1.1\r\n${lines}\r\n`

// What is malformed or ambiguous. Split within its first line, uWS itself may refuse it with 505.
const refused: { desc: string; bytes: string; status: number }[] = [
  { desc: 'two different Content-Length', bytes: head('Host: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n') + 'BODY', status: 400 },
  { desc: 'the same Content-Length twice', bytes: head('Host: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n') + 'BODY', status: 400 },
  { desc: 'empty Content-Length with chunked', bytes: head('Host: a\r\nContent-Length:\r\nTransfer-Encoding: chunked\r\n') + '0\r\n\r\n', status: 400 },
  { desc: 'Content-Length with Transfer-Encoding', bytes: head('Host: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n') + '0\r\n\r\n', status: 400 },
  { desc: 'Content-Length list', bytes: head('Host: a\r\nContent-Length: 4, 9\r\n') + 'BODY', status: 400 },
  { desc: 'Content-Length with a sign', bytes: head('Host: a\r\nContent-Length: +4\r\n') + 'BODY', status: 400 },
  { desc: 'negative Content-Length', bytes: head('Host: a\r\nContent-Length: -4\r\n') + 'BODY', status: 400 },
  { desc: 'Content-Length in hexadecimal', bytes: head('Host: a\r\nContent-Length: 0x4\r\n') + 'BODY', status: 400 },
  { desc: 'Transfer-Encoding: gzip', bytes: head('Host: a\r\nTransfer-Encoding: gzip\r\n') + '0\r\n\r\n', status: 501 },
  { desc: 'Transfer-Encoding: xchunked', bytes: head('Host: a\r\nTransfer-Encoding: xchunked\r\n') + '0\r\n\r\n', status: 501 },
  { desc: 'Transfer-Encoding: gzip, chunked', bytes: head('Host: a\r\nTransfer-Encoding: gzip, chunked\r\n') + '0\r\n\r\n', status: 501 },
  { desc: 'two Transfer-Encoding', bytes: head('Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n') + '0\r\n\r\n', status: 400 },
  { desc: 'no Host', bytes: head('X-A: 1\r\n', 'GET'), status: 400 },
  { desc: 'two Host', bytes: head('Host: a\r\nHost: b\r\n', 'GET'), status: 400 },
  { desc: 'the same Host twice', bytes: head('Host: a\r\nHost: a\r\n', 'GET'), status: 400 },
  { desc: 'empty Host', bytes: head('Host:\r\n', 'GET'), status: 400 },
  { desc: 'Host with a path', bytes: head('Host: a/b\r\n', 'GET'), status: 400 },
  { desc: 'Host with user information', bytes: head('Host: a@b\r\n', 'GET'), status: 400 },
  { desc: 'Host with a space', bytes: head('Host: a b\r\n', 'GET'), status: 400 },
  { desc: 'method in lower case', bytes: head('Host: a\r\n', 'get'), status: 400 },
  { desc: 'method in mixed case', bytes: head('Host: a\r\n', 'Get'), status: 400 },
  { desc: 'method that is no token', bytes: head('Host: a\r\n', 'G@T'), status: 400 },
  { desc: 'target with a byte above 0x7e', bytes: head('Host: a\r\n', 'GET', '/u/\xff'), status: 400 },
  { desc: 'target with UTF-8', bytes: head('Host: a\r\n', 'GET', '/u/\xc3\xbc'), status: 400 },
  { desc: 'target with a fragment', bytes: head('Host: a\r\n', 'GET', '/u/x#y'), status: 400 },
  { desc: 'target with a backslash', bytes: head('Host: a\r\n', 'GET', '/u\\x'), status: 400 },
  { desc: 'target with a malformed escape', bytes: head('Host: a\r\n', 'GET', '/u/%zz'), status: 400 },
  { desc: 'target with an escape cut short', bytes: head('Host: a\r\n', 'GET', '/u/%4'), status: 400 },
  { desc: 'query with a fragment', bytes: head('Host: a\r\n', 'GET', '/u/x?a#b'), status: 400 },
  { desc: 'query with a byte above 0x7e', bytes: head('Host: a\r\n', 'GET', '/u/x?a=\xff'), status: 400 },
  { desc: 'header value that is not UTF-8', bytes: head('Host: a\r\nX-A: a\xffb\r\n', 'GET'), status: 400 },
  { desc: 'header value with a DEL', bytes: head('Host: a\r\nX-A: a\x7fb\r\n', 'GET'), status: 400 },
  { desc: 'Connection that is not UTF-8', bytes: head('Host: a\r\nConnection: keep\xffalive\r\n', 'GET'), status: 400 },
  { desc: 'a target beyond its bound', bytes: head('Host: a\r\n', 'GET', `/u/${'a'.repeat(300)}`), status: 414 },
  { desc: 'Expect of something else', bytes: head('Host: a\r\nExpect: 200-maybe\r\nContent-Length: 4\r\n') + 'BODY', status: 417 },
  { desc: 'HTTP/1.0', bytes: 'GET /u/x HTTP/1.0\r\nHost: a\r\n\r\n', status: 505 },
  { desc: 'HTTP/2.0', bytes: 'GET /u/x HTTP/2.0\r\nHost: a\r\n\r\n', status: 505 },
  { desc: 'a head beyond its bound', bytes: head(`Host: a\r\nX-A: ${'a'.repeat(20_000)}\r\n`, 'GET'), status: 431 },
]

for (const { desc, bytes, status } of refused) {
  for (const isSplit of [false, true]) {
    t.test(`refuses ${desc}${isSplit ? ', in two segments' : ''}, closes, and no upstream sees it`, async t => {
      const before = upstream.received.join('').length
      const raw = Buffer.from(bytes, 'latin1')
      const middle = raw.length >> 1
      const answer = await sendRaw(gateway.port, isSplit ? [raw.subarray(0, middle), raw.subarray(middle)] : [raw])
      t.match(answer.bytes, new RegExp(`^HTTP/1.1 (?:${status}|${isSplit ? 505 : status}) `))
      t.ok(answer.isClosed, 'the connection is closed')
      t.equal(upstream.received.join('').length, before)
    })
  }
}

for (const [desc, first] of [
  ['two Content-Length', head('Host: a\r\nContent-Length: 38\r\nContent-Length: 0\r\n')],
  ['an invalid Host', head('Host: a b\r\n', 'GET')],
  ['an unknown coding', head('Host: a\r\nTransfer-Encoding: xchunked\r\n') + '0\r\n\r\n'],
] as const) {
  t.test(`smuggling: what stands in one segment behind a request refused for ${desc} is never a request`, async t => {
    const before = upstream.received.join('').length
    const { isClosed } = await sendRaw(gateway.port, [`${first}GET /u/second HTTP/1.1\r\nHost: a\r\n\r\nGET /u/third HTTP/1.1\r\nHost: a\r\n\r\n`])
    t.ok(isClosed, 'the connection is closed')
    t.equal(upstream.received.join('').length, before)
  })
}

t.test('a request is understood however it is cut', async t => {
  const bytes = Buffer.from(`POST /u/a?b=c HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nBO\r\n2\r\nDY\r\n0\r\n\r\n`)
  const whole = await sendRaw(gateway.port, [bytes], { until: isWhole })
  t.match(whole.bytes, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nok$/)
  const strip = (text: string): string => text.replace(/\r\ndate: [^\r]*/i, '')
  // uWS answers 505 to a first segment that ends in `HTTP/1.1`; docs/architecture.md tells of it.
  for (let at = bytes.indexOf('\r\n') + 2; at < bytes.length; at++) {
    const { bytes: got } = await sendRaw(gateway.port, [bytes.subarray(0, at), bytes.subarray(at)], { until: isWhole })
    t.equal(strip(got), strip(whole.bytes), `cut at ${at}`)
  }
})

for (const { desc, request, want } of [
  { desc: 'mock', request: 'GET /mock HTTP/1.1\r\nHost: a\r\n\r\n', want: /^HTTP\/1.1 200 OK\r\nx-m: 1\r\n[^]*Content-Length: 6\r\n\r\nmocked$/ },
  { desc: 'HEAD of a mock has the length and no body', request: 'HEAD /mock HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', want: /^HTTP\/1.1 200 OK\r\n[^]*content-length: 6\r\n[^]*\r\n\r\n$/ },
  { desc: 'HEAD falls to a route for GET', request: 'HEAD /only-get HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', want: /^HTTP\/1.1 200 OK\r\n/ },
  { desc: '204 has neither length nor body', request: 'GET /empty HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', want: /^HTTP\/1.1 204 No Content\r\n(?![^]*content-length)[^]*\r\n\r\n$/i },
  { desc: '404 says so', request: 'GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n', want: /^HTTP\/1.1 404 Not Found\r\ncontent-type: application\/problem\+json\r\n[^]*"code":"GW_NO_ROUTE"/ },
  { desc: '405 names what is allowed', request: 'POST /only-get HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n', want: /^HTTP\/1.1 405 Method Not Allowed\r\n[^]*allow: GET, HEAD\r\n/ },
  { desc: '413 by the announced length', request: 'POST /u/x HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n' + 'b'.repeat(101), want: /^HTTP\/1.1 413 [^]*GW_BODY_TOO_LARGE/ },
  { desc: '413 by counting', request: 'POST /u/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n' + 'b'.repeat(101) + '\r\n0\r\n\r\n', want: /^HTTP\/1.1 413 [^]*GW_BODY_TOO_LARGE/ },
  { desc: 'no header tells of uWebSockets', request: 'GET /mock HTTP/1.1\r\nHost: a\r\n\r\n', want: /^(?![^]*uWebSockets)HTTP\/1.1 200/i },
]) {
  t.test(desc, async t => {
    const { bytes } = await sendRaw(gateway.port, [request], { until: request.startsWith('HEAD') || desc.startsWith('204') ? () => false : isWhole })
    t.match(bytes, want)
  })
}

t.test('pipelined requests that are answered at once are answered in order', async t => {
  const { bytes } = await sendRaw(gateway.port, ['GET /mock HTTP/1.1\r\nHost: a\r\n\r\nGET /only-get HTTP/1.1\r\nHost: a\r\n\r\n'], { until: text => text.endsWith('got') })
  t.match(bytes, /^HTTP\/1.1 200 OK\r\n[^]*\r\n\r\nmockedHTTP\/1.1 200 OK\r\n[^]*\r\n\r\ngot$/)
})

t.test('headers: hop-by-hop ends here, forwarding is made anew for a peer that is not trusted', async t => {
  const connection = upstream.received.length
  const before = upstream.received.join('\n').length
  await sendRaw(gateway.port, [
    'GET /u/%7Ex/../y?q=%20 HTTP/1.1\r\nHost: api.example.com:80\r\nConnection: keep-alive, X-Drop\r\nX-Drop: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nUpgrade: x\r\n' +
    'Proxy-Authorization: secret\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Prefix: /evil\r\nForwarded: for=6.6.6.6\r\nX-Request-Id: mine\r\nVia: 1.0 a\r\nX-Keep: yes\r\n\r\n',
  ], { until: isWhole })
  const seen = upstream.received.join('\n').slice(before)
  t.ok(connection >= 0)
  t.match(seen, /GET \/u\/y\?q=%20 HTTP\/1.1\r\nhost: 127.0.0.1:\d+\r\n/)
  t.match(seen, 'x-keep: yes\r\n')
  t.match(seen, 'x-forwarded-for: 127.0.0.1\r\n')
  t.match(seen, 'x-forwarded-proto: http\r\n')
  t.match(seen, 'x-forwarded-host: api.example.com:80\r\n')
  t.match(seen, 'forwarded: for=127.0.0.1;host="api.example.com:80";proto=http\r\n')
  t.match(seen, 'via: 1.0 a, 1.1 penstock\r\n')
  t.notMatch(seen, /x-drop|keep-alive|te:|upgrade|proxy-auth|6\.6\.6\.6|evil|x-request-id: mine/)
})

t.test('a slow head ends by a timeout', async t => {
  const pieces = ['GET /mock HTTP/1.1\r\n']
  const { isClosed } = await sendRaw(gateway.port, pieces, { quietMs: 20_000 })
  t.ok(isClosed)
})
