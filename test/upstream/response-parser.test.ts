import t from 'tap'
import { cuts, parseResponses } from '../support/parse-responses.ts'

const good: { desc: string; bytes: string; method?: string; ends?: boolean; want: { status: number; body: string; keptAlive: boolean; headers?: [string, string][] } }[] = [
  { desc: 'Content-Length', bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello', want: { status: 200, body: 'hello', keptAlive: true, headers: [['x-a', '1']] } },
  { desc: 'Content-Length 0', bytes: 'HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n', want: { status: 201, body: '', keptAlive: true } },
  { desc: 'no reason phrase', bytes: 'HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n', want: { status: 200, body: '', keptAlive: true } },
  { desc: 'status line without the space before an empty reason', bytes: 'HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n', want: { status: 200, body: '', keptAlive: true } },
  { desc: 'chunked with extensions and trailers', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nX-T: 1\r\n\r\n', want: { status: 200, body: 'hello!', keptAlive: true, headers: [] } },
  { desc: 'until close', bytes: 'HTTP/1.1 200 OK\r\n\r\nall of it', ends: true, want: { status: 200, body: 'all of it', keptAlive: false } },
  { desc: 'HTTP/1.0 until close', bytes: 'HTTP/1.0 200 OK\r\n\r\nold', ends: true, want: { status: 200, body: 'old', keptAlive: false } },
  { desc: 'HTTP/1.0 with keep-alive', bytes: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx', want: { status: 200, body: 'x', keptAlive: true } },
  { desc: 'Connection: close', bytes: 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx', want: { status: 200, body: 'x', keptAlive: false } },
  { desc: 'HEAD has no body whatever its length says', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', method: 'HEAD', want: { status: 200, body: '', keptAlive: true } },
  { desc: '204 and 304 have no body', bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', want: { status: 304, body: '', keptAlive: true } },
  { desc: 'a 204 with a length may not be trusted with another request', bytes: 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', want: { status: 204, body: '', keptAlive: false } },
  { desc: 'interim answers are swallowed', bytes: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok', want: { status: 200, body: 'ok', keptAlive: true } },
  { desc: 'hop-by-hop and nominated headers end here', bytes: 'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nTE: x\r\nTrailer: y\r\nUpgrade: z\r\nProxy-Authenticate: Basic\r\nDate: now\r\nX-B: 2\r\nContent-Length: 0\r\n\r\n', want: { status: 200, body: '', keptAlive: true, headers: [['x-b', '2']] } },
  { desc: 'white space around a value is not part of it', bytes: 'HTTP/1.1 200 OK\r\nX-A: \t a b \t\r\nX-C:\r\nContent-Length: 0\r\n\r\n', want: { status: 200, body: '', keptAlive: true, headers: [['x-a', 'a b'], ['x-c', '']] } },
  { desc: 'obs-text passes', bytes: 'HTTP/1.1 200 OK\r\nX-A: \xe9\r\nContent-Length: 0\r\n\r\n', want: { status: 200, body: '', keptAlive: true, headers: [['x-a', '\xe9']] } },
]

for (const { desc, bytes, method, ends, want } of good) {
  t.test(`${desc}, however it is cut`, async t => {
    for (const pieces of cuts(Buffer.from(bytes, 'latin1'))) {
      const { responses, failure } = parseResponses(pieces, { methods: [method ?? 'GET'], ends: ends ?? false })
      t.equal(failure, null)
      t.equal(responses.length, 1)
      const [got] = responses
      t.same(
        { status: got!.status, body: got!.body.toString(), keptAlive: got!.isKeptAlive, ...(want.headers && { headers: got!.headers }) },
        want,
      )
      t.ok(got!.isComplete)
    }
  })
}

const bad: { desc: string; bytes: string; code?: string; ends?: boolean }[] = [
  { desc: 'no HTTP', bytes: 'SSH-2.0-OpenSSH\r\n' },
  { desc: 'HTTP/2.0', bytes: 'HTTP/2.0 200 OK\r\n\r\n' },
  { desc: 'HTTP/1.2', bytes: 'HTTP/1.2 200 OK\r\n\r\n' },
  { desc: 'lower case', bytes: 'http/1.1 200 OK\r\n\r\n' },
  { desc: 'status of two digits', bytes: 'HTTP/1.1 20 OK\r\n\r\n' },
  { desc: 'status of four digits', bytes: 'HTTP/1.1 2000 OK\r\n\r\n' },
  { desc: 'status 099', bytes: 'HTTP/1.1 099 OK\r\n\r\n' },
  { desc: 'status 600', bytes: 'HTTP/1.1 600 OK\r\n\r\n' },
  { desc: 'two spaces before the status', bytes: 'HTTP/1.1  200 OK\r\n\r\n' },
  { desc: 'bare LF after the status line', bytes: 'HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n' },
  { desc: 'bare LF after a header', bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\nContent-Length: 0\r\n\r\n' },
  { desc: 'bare CR in a value', bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r2\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'NUL in a value', bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'space before the colon', bytes: 'HTTP/1.1 200 OK\r\nX-A : 1\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'empty name', bytes: 'HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'line without a colon', bytes: 'HTTP/1.1 200 OK\r\nfoo\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'obs-fold', bytes: 'HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n' },
  { desc: 'two Content-Length, even the same', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx' },
  { desc: 'Content-Length list', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx' },
  { desc: 'Content-Length with a sign', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx' },
  { desc: 'Content-Length in hexadecimal', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 0x1\r\n\r\nx' },
  { desc: 'empty Content-Length', bytes: 'HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n' },
  { desc: 'Content-Length of 16 digits', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n' },
  { desc: 'Content-Length beside Transfer-Encoding', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
  { desc: 'Transfer-Encoding: gzip, chunked', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n' },
  { desc: 'Transfer-Encoding twice', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
  { desc: 'Transfer-Encoding in HTTP/1.0', bytes: 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
  { desc: '101 that nobody asked for', bytes: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n' },
  { desc: 'chunk size that is no number', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n' },
  { desc: 'chunk size with a space', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n' },
  { desc: 'chunk size beyond 2 ** 52', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000\r\n' },
  { desc: 'chunk longer than its size', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhello\r\n0\r\n\r\n' },
  { desc: 'bare LF after a chunk size', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n' },
  { desc: 'invalid trailer', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n bad\r\n\r\n' },
  { desc: 'bytes behind the answer that no request waits for', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n' },
  { desc: 'end in a head', bytes: 'HTTP/1.1 200 OK\r\nX-A', code: 'GW_UPSTREAM_RESET', ends: true },
  { desc: 'end in a body of known length', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell', code: 'GW_UPSTREAM_RESET', ends: true },
  { desc: 'end in a chunked body', bytes: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n', code: 'GW_UPSTREAM_RESET', ends: true },
  { desc: 'end after an interim answer', bytes: 'HTTP/1.1 100 Continue\r\n\r\n', code: 'GW_UPSTREAM_RESET', ends: true },
]

for (const { desc, bytes, code, ends } of bad) {
  t.test(`refuses ${desc}, however it is cut`, async t => {
    for (const pieces of cuts(Buffer.from(bytes, 'latin1'))) {
      const { failure } = parseResponses(pieces, { ends: ends ?? false })
      t.equal(failure?.code, code ?? 'GW_UPSTREAM_PROTOCOL')
    }
  })
}

t.test('a head beyond its bound is refused, whole or in pieces', async t => {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\nX-A: ${'a'.repeat(2000)}\r\nContent-Length: 0\r\n\r\n`)
  t.equal(parseResponses([bytes], { maxHeadBytes: 1024 }).failure?.code, 'GW_UPSTREAM_HEAD_TOO_LARGE')
  t.equal(parseResponses(Array.from(bytes, byte => Buffer.from([byte])), { maxHeadBytes: 1024 }).failure?.code, 'GW_UPSTREAM_HEAD_TOO_LARGE')
  t.equal(parseResponses([bytes], { maxHeadBytes: 4096 }).failure, null)
})

t.test('pipelined answers belong to their requests in order', async t => {
  const bytes = Buffer.from(
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n')
  for (const pieces of cuts(bytes)) {
    const { responses, failure } = parseResponses(pieces, { methods: ['GET', 'HEAD', 'GET'] })
    t.equal(failure, null)
    t.same(responses.map(response => response.body.toString()), ['a', '', 'c'])
  }
})
