import { createServer, connect, type Socket } from 'node:net'
import { request } from 'node:http'
import t from 'tap'
import { parseResponses } from '../support/parse-responses.ts'
import { Random } from '../support/random.ts'

/**
 * Differential: random answers, many of them damaged, go through our parser and through Node's (by way of node:http on
 * a real socket). Where ours says that an answer is whole, Node must have read the same; ours may refuse more.
 */
const ROUNDS = 5000

function randomResponse(random: Random): Buffer {
  const body = 'abcdefghij'.slice(0, random.below(11))
  const lines = ['HTTP/1.1 200 OK']
  for (let i = random.below(4); i > 0; i--) lines.push(`X-${random.below(9)}: ${'v'.repeat(random.below(5))}`)
  let text: string
  const kind = random.below(3)
  if (kind === 0) text = `${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  else if (kind === 1) {
    const cut = random.below(body.length + 1)
    const chunks = [body.slice(0, cut), body.slice(cut)].filter(chunk => chunk !== '')
    const framed = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
    text = `${lines.join('\r\n')}\r\nTransfer-Encoding: chunked\r\n\r\n${framed}0\r\n${random.chance(0.3) ? 'X-T: 1\r\n' : ''}\r\n`
  } else text = `${lines.join('\r\n')}\r\n\r\n${body}`
  const bytes = Buffer.from(text)
  if (random.chance(0.3)) return bytes
  // Damage: a byte changed, removed, repeated or put in.
  const at = random.below(bytes.length)
  const odd = random.pick([0x00, 0x09, 0x0a, 0x0d, 0x20, 0x2c, 0x30, 0x3a, 0x3b, 0x41, 0x7f, 0xff])
  switch (random.below(4)) {
    case 0: bytes[at] = odd; return bytes
    case 1: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])
    case 2: return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + 1), bytes.subarray(at)])
    default: return Buffer.concat([bytes.subarray(0, at), Buffer.from([odd]), bytes.subarray(at)])
  }
}

function randomPieces(random: Random, bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const next = Math.min(bytes.length, at + 1 + random.below(bytes.length))
    pieces.push(bytes.subarray(at, next))
    at = next
  }
  return pieces
}

t.test('agrees with the parser of Node on what is a whole answer', async t => {
  let bytes: Buffer = Buffer.alloc(0)
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(bytes))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }

  const readByNode = (): Promise<{ status: number; body: string } | null> => new Promise(resolve => {
    const outgoing = request({ host: '127.0.0.1', port, agent: false, createConnection: () => connect(port, '127.0.0.1') }, response => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => resolve(null))
      response.on('close', () => {
        resolve(response.complete ? { status: response.statusCode!, body: Buffer.concat(chunks).toString('latin1') } : null)
      })
    })
    outgoing.on('error', () => resolve(null))
    outgoing.end()
  })

  const random = new Random(20_261_124)
  let accepted = 0
  for (let round = 0; round < ROUNDS; round++) {
    bytes = randomResponse(random)
    const { responses, failure } = parseResponses(randomPieces(random, bytes), { ends: true })
    const [first] = responses
    if (failure !== null || !first?.isComplete) continue
    accepted++
    const byNode = await readByNode()
    // Node takes no tab behind a Content-Length, which RFC 9110 section 5.5 allows as white space.
    if (byNode === null && /Content-Length: \d+\t/.test(bytes.toString('latin1'))) continue
    t.same({ status: first.status, body: first.body.toString('latin1') }, byNode, `seeded round ${round}: ${JSON.stringify(bytes.toString('latin1'))}`)
  }
  t.ok(accepted > ROUNDS / 4, `${accepted} of ${ROUNDS} were accepted`)
})
