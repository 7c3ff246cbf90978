import t from 'tap'
import { AccessLog, type AccessRecord, formatLine, redactQuery } from '../../src/telemetry/access-log.ts'

const RECORD: AccessRecord = {
  requestId: 'r1', client: '10.0.0.1', method: 'GET', host: 'a.example', path: '/p', query: null, headers: null, route: 'users', consumer: null, status: 200,
  bytesIn: 0, bytesOut: 12, durationMs: 1.23456, headMs: null, upstream: 'u', endpoint: 'http://b:1', tries: 1, failure: null, cause: null, version: 'v',
}

t.test('a line is one JSON object with every field', async t => {
  const line = formatLine(RECORD, 1_000)
  t.ok(line.endsWith('}\n'))
  const { query, headers, cause, ...always } = RECORD
  t.strictSame([query, headers, cause], [null, null, null])
  t.strictSame(JSON.parse(line), { type: 'access', time: 1000, ...always, durationMs: 1.23 })
})

for (const text of ['"', '\\', '\n', '\r\n{"type":"access"}', '\u0000', 'ü\u2028', '\ud800']) {
  t.test(`what a client sends ends no line and no text: ${Buffer.from(text, 'utf16le').toString('hex')}`, async t => {
    const evil: AccessRecord = { ...RECORD, requestId: text, method: text, host: text, path: text, query: text, headers: { a: text }, failure: 'GW_INTERNAL', cause: text }
    const line = formatLine(evil, 0)
    t.equal(line.indexOf('\n'), line.length - 1)
    t.match(JSON.parse(line), { requestId: text, method: text, host: text, path: text, query: text, headers: { a: text }, cause: text })
  })
}

for (const { query, want } of [
  { query: '', want: '' },
  { query: 'a=1&token=s', want: 'a=1&token=[redacted]' },
  { query: 'TOKEN=s', want: 'TOKEN=[redacted]' },
  { query: 'tok%65n=s', want: 'tok%65n=[redacted]' },
  { query: 'token=s&token=t', want: 'token=[redacted]&token=[redacted]' },
  { query: 'token', want: 'token=[redacted]' },
  { query: 'token=a=b', want: 'token=[redacted]' },
  { query: 'api+key=s', want: 'api+key=[redacted]' },
  { query: '%zz=token', want: '%zz=token' },
  { query: 'x=token=s', want: 'x=token=s' },
]) {
  t.test(`redacts ${query}`, async t => {
    t.equal(redactQuery(query, new Set(['token', 'api key'])), want)
  })
}

t.test('lines go on in blocks, in order, none lost and none torn', async t => {
  let text = ''
  let blocks = 0
  const log = new AccessLog(lines => {
    blocks++
    t.equal(lines.at(-1), 0x0a, 'a block ends with a line')
    text += Buffer.from(lines).toString()
  })
  for (let i = 0; i < 2000; i++) log.write({ ...RECORD, requestId: `r${i}`, path: `/${'ü'.repeat(i % 300)}` })
  log.write({ ...RECORD, requestId: 'r2000', path: '/' + 'x'.repeat(200_000) })
  log.flush()
  const ids = text.trimEnd().split('\n').map(line => (JSON.parse(line) as AccessRecord).requestId)
  t.strictSame(ids, Array.from({ length: 2001 }, (_, i) => `r${i}`))
  t.ok(blocks < 100, `${blocks} blocks for 2001 lines`)
})

t.test('a quiet log is flushed by itself', async t => {
  const lines = await new Promise<Uint8Array>(resolve => {
    new AccessLog(resolve).write(RECORD)
  })
  t.match(Buffer.from(lines).toString(), /"requestId":"r1"/)
})
