import { createSocket, type Socket } from 'node:dgram'

export type SrvTarget = { target: string; port: number; priority?: number; weight?: number }
/** `silence`: no answer at all; `servfail`: the server says that it failed. */
export type DnsTrouble = 'silence' | 'servfail'

/** What a name has; a kind of record that is left out has no records. */
export type DnsRecords = {
  a?: readonly string[] | DnsTrouble
  aaaa?: readonly string[] | DnsTrouble
  srv?: readonly SrvTarget[] | DnsTrouble
  /** Default 0. */
  ttlSeconds?: number
}

const KINDS: Record<number, 'a' | 'aaaa' | 'srv'> = { 1: 'a', 28: 'aaaa', 33: 'srv' }
const TYPES = { a: 1, aaaa: 28, srv: 33 }
const SERVFAIL = 2
const NXDOMAIN = 3

/** A name server over UDP that answers by a table; a name that is not in it does not exist (NXDOMAIN). */
export class DnsServer {
  readonly #socket: Socket
  readonly #records = new Map<string, DnsRecords>()
  /** `a users.test` and so on, one for each datagram that came. */
  readonly queries: string[] = []
  /** Answers nobody while it is true. */
  isSilent = false

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('message', (query, sender) => {
      const answer = this.#answer(query)
      if (answer !== null) socket.send(answer, sender.port, sender.address)
    })
    socket.on('error', () => {})
  }

  /** `port`: one that an earlier server had, or 0 for any. */
  static async start(port = 0): Promise<DnsServer> {
    const socket = createSocket('udp4')
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject)
      socket.bind(port, '127.0.0.1', resolve)
    })
    return new DnsServer(socket)
  }

  get port(): number {
    return this.#socket.address().port
  }

  /** As `resolver` of a document has it. */
  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  set(name: string, records: DnsRecords): void {
    this.#records.set(name.toLowerCase(), records)
  }

  /** From now on the name does not exist. */
  remove(name: string): void {
    this.#records.delete(name.toLowerCase())
  }

  async stop(): Promise<void> {
    await new Promise<void>(resolve => this.#socket.close(resolve))
  }

  /** RFC 1035 section 4.1: 12 bytes of header, then the question; what follows it (EDNS) is passed over. */
  #answer(query: Buffer): Buffer | null {
    const { name, end } = readName(query, 12)
    const kind = KINDS[query.readUInt16BE(end)]
    this.queries.push(`${kind} ${name}`)
    const records = this.#records.get(name)
    const found = (kind === undefined ? undefined : records?.[kind]) ?? []
    if (this.isSilent || found === 'silence') return null
    const question = query.subarray(12, end + 4)
    if (found === 'servfail') return message(query, question, SERVFAIL, [])
    if (records === undefined || kind === undefined) return message(query, question, NXDOMAIN, [])
    return message(query, question, 0, found.map(data => resourceRecord(TYPES[kind], records.ttlSeconds ?? 0, dataOf(data))))
  }
}

function message(query: Buffer, question: Buffer, code: number, answers: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(12)
  head.writeUInt16BE(query.readUInt16BE(0), 0)
  // An answer, authoritative, recursion desired and available.
  head.writeUInt16BE(0x8580 | code, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt16BE(answers.length, 6)
  return Buffer.concat([head, question, ...answers])
}

function resourceRecord(type: number, ttlSeconds: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12)
  // A pointer to the name in the question.
  head.writeUInt16BE(0xc00c, 0)
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(ttlSeconds, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

function dataOf(record: string | SrvTarget): Buffer {
  if (typeof record === 'string') return record.includes(':') ? ipv6Bytes(record) : Buffer.from(record.split('.').map(Number))
  const head = Buffer.alloc(6)
  head.writeUInt16BE(record.priority ?? 0, 0)
  head.writeUInt16BE(record.weight ?? 0, 2)
  head.writeUInt16BE(record.port, 4)
  return Buffer.concat([head, nameBytes(record.target)])
}

function ipv6Bytes(text: string): Buffer {
  const [before = '', after = ''] = text.split('::')
  const groups = (part: string): number[] => (part === '' ? [] : part.split(':').map(group => Number.parseInt(group, 16)))
  const [left, right] = [groups(before), groups(after)]
  const all = [...left, ...Array<number>(8 - left.length - right.length).fill(0), ...right]
  return Buffer.from(all.flatMap(group => [group >> 8, group & 255]))
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').filter(label => label !== '')
  return Buffer.concat([...labels.map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label)])), Buffer.from([0])])
}

/** `end`: behind the name. */
function readName(bytes: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = []
  let at = start
  for (let length = bytes[at]!; length > 0; length = bytes[at]!) {
    labels.push(bytes.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), end: at + 1 }
}
