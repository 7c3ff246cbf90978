import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { Random } from '../support/random.ts'
import { sendRaw } from '../support/raw.ts'

/**
 * Differential: random requests, most of them damaged, go to a plain node:http server, and through the gateway to
 * another one. What the second one sees must be what the first one saw, request by request. The gateway may refuse more.
 * Where uWebSockets.js is the laxer reader (docs/architecture.md has the list), a request that node:http refuses may come
 * through, framed anew: but never one that was not sent as one, and never a second one behind it.
 */
const ROUNDS = 3000
const AT_ONCE = 16

type Seen = { line: string; headers: Map<string, string>; body: string }

/** Requests that came in one sending, told apart by the number in their path. */
class Recorder {
  readonly server: Server
  readonly seen = new Map<number, Seen[]>()
  /** Of bytes that were no request at all: codes of node:http's parser. */
  readonly malformed: string[] = []

  constructor() {
    this.server = createServer((incoming, response) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', () => {})
      incoming.on('end', () => {
        this.#record(incoming, Buffer.concat(chunks).toString('latin1'))
        response.end('ok')
      })
    })
    this.server.on('clientError', (cause: NodeJS.ErrnoException, socket) => {
      this.malformed.push(cause.code ?? cause.message)
      socket.destroy()
    })
  }

  #record({ method, url, rawHeaders }: IncomingMessage, body: string): void {
    const round = Number(/\/n(\d+)/.exec(url!)?.[1] ?? -1)
    const headers = new Map<string, string>()
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase()
      const before = headers.get(name)
      headers.set(name, before === undefined ? rawHeaders[i + 1]! : `${before}\n${rawHeaders[i + 1]!}`)
    }
    if (!this.seen.has(round)) this.seen.set(round, [])
    this.seen.get(round)!.push({ line: `${method} ${url}`, headers, body })
  }

  async listen(): Promise<number> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve))
    return (this.server.address() as AddressInfo).port
  }
}

/** Made by the gateway itself. */
const ADDED = new Set(['host', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded', 'via', 'x-request-id', 'x-request-timeout-ms', 'connection', 'content-length', 'transfer-encoding'])

/** uWS takes bytes above 0x7e at the ends of a value for white space. */
const trimmed = (value: string | undefined): string | undefined =>
  value?.replace(/^[\x80-\xff \t]+|[\x80-\xff \t]+$/gm, '')

function randomRequest(random: Random, round: number): Buffer {
  const body = random.pick(['', 'abc', 'GET /n0/smuggled HTTP/1.1\r\nHost: a\r\n\r\n', '0\r\n\r\n', '\r\n\r\n'])
  const lines = [`${random.pick(['GET', 'POST', 'PUT', 'DELETE'])} /n${round}/x HTTP/1.1`, 'Host: a']
  for (let i = random.below(4); i > 0; i--) lines.push(random.pick(['X-A: 1', 'x-b:2', 'X-C:  3 ', 'X-D:', 'Connection: keep-alive', 'X-E: GET / HTTP/1.1']))
  let framed = ''
  switch (random.below(3)) {
    case 0: break
    case 1:
      lines.push(`Content-Length: ${body.length}`)
      framed = body
      break
    default:
      lines.push('Transfer-Encoding: chunked')
      framed = `${body === '' ? '' : `${body.length.toString(16)}${random.pick(['', ';a=b'])}\r\n${body}\r\n`}0\r\n${random.pick(['', 'X-T: 1\r\n'])}\r\n`
  }
  if (random.chance(0.15)) lines.push(random.pick(['Content-Length: 0', 'Content-Length: 3', 'Transfer-Encoding: chunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding: identity', ' folded: 1', 'Content-Length : 3']))
  const again = random.chance(0.2) ? `GET /n${round}/second HTTP/1.1\r\nHost: a\r\n\r\n` : ''
  const text = `${lines.join('\r\n')}\r\n\r\n${framed}${again}`
  const bytes = Buffer.from(text, 'latin1')
  // The number in a path tells where a request belongs.
  const numbers = [...text.matchAll(/\/n\d+\//g)].map(({ index, 0: found }) => [index, index + found.length] as const)
  for (let damages = random.below(3); damages > 0; damages--) {
    const at = random.below(bytes.length)
    if (at < 5 || numbers.some(([start, end]) => at >= start && at <= end)) continue
    const odd = random.pick([0x00, 0x09, 0x0a, 0x0b, 0x0d, 0x20, 0x2c, 0x30, 0x3a, 0x3b, 0x41, 0x61, 0x7f, 0x80, 0xff])
    switch (random.below(3)) {
      case 0: bytes[at] = odd; break
      case 1: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
      default: return Buffer.concat([bytes.subarray(0, at), Buffer.from([odd]), bytes.subarray(at)])
    }
  }
  return bytes
}

t.test('an upstream sees what was sent, request by request, or nothing', { timeout: 240_000 }, async t => {
  const direct = new Recorder()
  const behind = new Recorder()
  const directPort = await direct.listen()
  const upstreamPort = await behind.listen()
  const gateway = await GatewayProcess.start({
    accessLog: null,
    upstreams: { u: { endpoints: [`http://127.0.0.1:${upstreamPort}`] } },
    routes: [{ id: 'all', match: { path: '/{rest+}' }, upstream: 'u' }],
  })
  const random = new Random(20_261_125)
  const sent = new Map<number, string>()
  const run = async (round: number): Promise<void> => {
    const bytes = randomRequest(random, round)
    sent.set(round, bytes.toString('latin1'))
    const cut = random.below(bytes.length)
    const pieces = random.chance(0.5) ? [bytes] : [bytes.subarray(0, cut), bytes.subarray(cut)]
    await Promise.all([sendRaw(directPort, pieces, { quietMs: 60 }), sendRaw(gateway.port, pieces, { quietMs: 60 })])
  }
  for (let round = 1; round <= ROUNDS; round += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, i) => run(round + i)))
  }
  let agreed = 0
  for (const [round, requests] of behind.seen) {
    const want = direct.seen.get(round) ?? []
    const bytes = sent.get(round)
    const text = `seeded round ${round}: ${JSON.stringify(bytes ?? null)}`
    t.ok(bytes !== undefined, `comes from a request that was sent, not from a body: ${JSON.stringify(requests)}`)
    t.ok(requests.length <= Math.max(want.length, 1), `${requests.length} requests where node:http saw ${want.length}; ${text}`)
    for (const [index, { line, headers, body }] of requests.entries()) {
      for (const value of headers.values()) t.ok(!/[\x00-\x08\x0b-\x1f\x7f]/.test(value), `no control byte; ${text}`)
      const other = want[index]
      if (other === undefined) {
        t.match(line, `/n${round}/x`, `the first of what was sent; ${text}`)
        continue
      }
      t.equal(line, other.line, text)
      t.equal(body, other.body, text)
      for (const [name, value] of headers) if (!ADDED.has(name)) t.equal(value, trimmed(other.headers.get(name)), `${name}; ${text}`)
      agreed++
    }
  }
  // A client that leaves in the middle takes its request with it; a method may be any token.
  const faults = behind.malformed.filter(code => !['ECONNRESET', 'HPE_INVALID_EOF_STATE', 'HPE_INVALID_METHOD'].includes(code))
  t.strictSame(faults, [], 'what the gateway sends is always well-formed')
  t.ok(agreed > ROUNDS / 4, `${agreed} requests of ${ROUNDS} sendings came through`)
  t.equal(await gateway.stop(), 0)
  for (const { server } of [direct, behind]) {
    server.close()
    server.closeAllConnections()
  }
})
