import t from 'tap'
import { scanHead } from '../../src/upstream/head-scanner.ts'
import { ParsedHead } from '../../src/upstream/response-head.ts'

function parsed(...lines: string[]): ParsedHead {
  const bytes = Buffer.from(`HTTP/1.1 200 OK\r\n${lines.map(line => `${line}\r\n`).join('')}\r\n`, 'latin1')
  const head = new ParsedHead()
  t.equal(scanHead(bytes, 0, bytes.length, head), bytes.length)
  return head
}

for (const { desc, lines, want } of [
  { desc: 'no line', lines: [], want: '' },
  { desc: 'only lines that end at the connection', lines: ['Date: now', 'Content-Length: 2'], want: '' },
  { desc: 'lines side by side', lines: ['a: 1', 'B: 2'], want: '\r\na: 1\r\nB: 2' },
  { desc: 'a line left out at the start', lines: ['Date: now', 'a: 1'], want: '\r\na: 1' },
  { desc: 'lines left out in between and at the end', lines: ['a: 1', 'Date: now', 'Connection: close', 'b: 2', 'c: 3', 'Content-Length: 2'], want: '\r\na: 1\r\nb: 2\r\nc: 3' },
  { desc: 'a line that Connection names', lines: ['a: 1', 'Connection: x', 'x: 2', 'b: 3'], want: '\r\na: 1\r\nb: 3' },
  { desc: 'white space after a value ends there', lines: ['a: 1 \t', 'b: 2\t', 'c: 3'], want: '\r\na: 1\r\nb: 2\r\nc: 3' },
  { desc: 'an empty value', lines: ['a:', 'b: 2'], want: '\r\na:\r\nb: 2' },
  { desc: 'bytes above 0x7e are no text', lines: ['a: 1', 'b: \xe9'], want: null },
]) t.test(`as text: ${desc}`, async t => t.equal(parsed(...lines).toText(), want))

for (const { desc, lines, isKeptAlive = true, hintMs = null } of [
  { desc: 'HTTP/1.1 without a word of it', lines: [] },
  { desc: 'Connection: close in any case', lines: ['connection: CLOSE'], isKeptAlive: false },
  { desc: 'close among other tokens', lines: ['Connection: x, Close'], isKeptAlive: false },
  { desc: 'a name as long as keep-alive that is another', lines: ['Connection: x-headers1'] },
  { desc: 'a timeout alone', lines: ['Keep-Alive: timeout=5'], hintMs: 5000 },
  { desc: 'a timeout in capitals, and 0', lines: ['Keep-Alive: TimeOut=0'], hintMs: 0 },
  { desc: 'a timeout among others', lines: ['Keep-Alive: max=100, timeout = 15'], hintMs: 15_000 },
  { desc: 'a timeout before others', lines: ['Keep-Alive: timeout=5,max=1'], hintMs: 5000 },
  { desc: 'a timeout that is no number', lines: ['Keep-Alive: timeout=a'] },
  { desc: 'no timeout', lines: ['Keep-Alive: max=100'] },
]) {
  t.test(`keep-alive: ${desc}`, async t => {
    const head = parsed(...lines)
    t.equal(head.isKeptAlive, isKeptAlive)
    t.equal(head.keepAliveHintMs, hintMs)
  })
}

t.test('bytes above 0x7e go out as bytes, line by line', async t => {
  const written: string[] = []
  parsed('a: 1', 'Date: now', 'b: \xe9').writeTo((name, value) => written.push(`${name}=${Buffer.from(value as Uint8Array).toString('latin1')}`))
  t.strictSame(written, ['a=1', 'b=\xe9'])
})
