import { connect, type Socket } from 'node:net'
import { MAX_BYTES_KEPT, type OpenLoadResult, type Outcome, type RequestRecord, summarize } from './open-load-result.ts'

export type OpenLoadOptions = {
  readonly port: number
  readonly perSecond: number
  readonly seconds: number
  /** At most so many at a time, one request at a time on each; further ones wait here, and are charged for it. */
  readonly connections?: number
  /** From the time a request was due. */
  readonly deadlineMs?: number
  /** Before the number. */
  readonly path?: string
}

const TICK_MS = 2
/** How long second answers are waited for at the end. */
const GRACE_MS = 100
const MAX_SURPLUS = 100

type Request = { readonly number: number; readonly dueMs: number; sentMs: number | null; connection: LoadConnection | null; record: RequestRecord | null }

/**
 * Sends GETs at a fixed rate whatever the answers do, each with a number of its own that must come back in its body
 * (`number NUMBER`), and keeps what became of every single one. Nothing is sent twice. A request is measured from the
 * time at which it should have been sent, so what stalls is charged for all that were due meanwhile.
 */
export function runOpenLoad(options: OpenLoadOptions): Promise<OpenLoadResult> {
  return new OpenLoad(options).run()
}

class OpenLoad implements ConnectionOwner {
  readonly #options: Required<OpenLoadOptions>
  readonly #requests: Request[]
  readonly #startMs = performance.now()
  // First in, first out: no connection is idle for so long that the gateway closes it under a request.
  readonly #idle: LoadConnection[] = []
  readonly #all = new Set<LoadConnection>()
  readonly #surplus: string[] = []
  #next = 0
  #oldestOpen = 0
  #openCount: number
  #onDone = (): void => {}

  constructor(options: OpenLoadOptions) {
    this.#options = { connections: 64, deadlineMs: 30_000, path: '/n/', ...options }
    this.#openCount = Math.round(options.perSecond * options.seconds)
    this.#requests = Array.from({ length: this.#openCount }, (_, index) => (
      { number: index + 1, dueMs: index * 1000 / options.perSecond, sentMs: null, connection: null, record: null }
    ))
  }

  async run(): Promise<OpenLoadResult> {
    const ticker = setInterval(() => this.#tick(), TICK_MS)
    await new Promise<void>(resolve => { this.#onDone = resolve })
    clearInterval(ticker)
    await new Promise(resolve => setTimeout(resolve, GRACE_MS))
    for (const connection of this.#all) connection.destroy()
    return summarize(this.#startMs, this.#requests.map(request => request.record!), this.#surplus)
  }

  get #nowMs(): number {
    return performance.now() - this.#startMs
  }

  #tick(): void {
    this.#sendDue()
    for (; this.#oldestOpen < this.#requests.length; this.#oldestOpen++) {
      const request = this.#requests[this.#oldestOpen]!
      if (request.record !== null) continue
      if (this.#nowMs < request.dueMs + this.#options.deadlineMs) break
      const { connection } = request
      this.settle(request, 'unanswered', '')
      connection?.destroy()
    }
  }

  #sendDue(): void {
    const nowMs = this.#nowMs
    while (this.#next < this.#requests.length && this.#requests[this.#next]!.dueMs <= nowMs) {
      const request = this.#requests[this.#next]!
      // One that has waited for a connection until its deadline is settled already.
      if (request.record === null) {
        const connection = this.#idle.shift() ?? this.#open()
        if (connection === null) return
        request.sentMs = nowMs
        request.connection = connection
        connection.send(request, `GET ${this.#options.path}${request.number} HTTP/1.1\r\nHost: load\r\n\r\n`)
      }
      this.#next++
    }
  }

  #open(): LoadConnection | null {
    if (this.#all.size >= this.#options.connections) return null
    const connection = new LoadConnection(this.#options.port, this)
    this.#all.add(connection)
    return connection
  }

  settle(request: Request, outcome: Outcome, bytes: string): void {
    if (request.record !== null) throw new Error(`request ${request.number} was settled twice`)
    const isAnswer = outcome === 'right' || outcome === 'wrong' || outcome === 'refusal'
    request.record = {
      number: request.number, dueMs: request.dueMs, sentMs: request.sentMs, latencyMs: this.#nowMs - request.dueMs, outcome,
      status: isAnswer ? Number(bytes.slice(9, 12)) : null,
      code: outcome === 'refusal' ? /"code":"(\w+)"/.exec(bytes)?.[1] ?? null : null,
      bytes: outcome === 'right' ? '' : bytes.slice(0, MAX_BYTES_KEPT),
    }
    request.connection = null
    if (--this.#openCount === 0) this.#onDone()
  }

  onIdle(connection: LoadConnection): void {
    this.#idle.push(connection)
    this.#sendDue()
  }

  onSurplus(bytes: string): void {
    if (this.#surplus.length < MAX_SURPLUS) this.#surplus.push(bytes.slice(0, MAX_BYTES_KEPT))
  }

  onClose(connection: LoadConnection): void {
    this.#all.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index >= 0) this.#idle.splice(index, 1)
  }
}

interface ConnectionOwner {
  settle(request: Request, outcome: Outcome, bytes: string): void
  onIdle(connection: LoadConnection): void
  onSurplus(bytes: string): void
  onClose(connection: LoadConnection): void
}

class LoadConnection {
  readonly #socket: Socket
  readonly #owner: ConnectionOwner
  #request: Request | null = null
  #bytes = ''
  #isOpen = false

  constructor(port: number, owner: ConnectionOwner) {
    this.#owner = owner
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => { this.#isOpen = true })
    this.#socket.on('data', chunk => this.#read(chunk.toString('latin1')))
    this.#socket.on('error', () => {})
    this.#socket.on('end', () => this.#socket.destroy())
    this.#socket.on('close', () => {
      const request = this.#request
      this.#request = null
      owner.onClose(this)
      if (request !== null && request.record === null) owner.settle(request, this.#isOpen ? 'cut' : 'unconnected', this.#bytes)
    })
  }

  send(request: Request, head: string): void {
    this.#request = request
    this.#bytes = ''
    this.#socket.write(head)
  }

  destroy(): void {
    this.#socket.destroy()
  }

  #read(text: string): void {
    const request = this.#request
    if (request === null) {
      this.#owner.onSurplus(text)
      this.#socket.destroy()
      return
    }
    // Its deadline is over, and this connection with it.
    if (request.record !== null) return
    this.#bytes += text
    const end = endOfAnswer(this.#bytes)
    if (end === INCOMPLETE) return
    this.#request = null
    if (end === MALFORMED) {
      this.#owner.settle(request, 'malformed', this.#bytes)
      this.#socket.destroy()
      return
    }
    const answer = this.#bytes.slice(0, end)
    const surplus = this.#bytes.slice(end)
    this.#owner.settle(request, outcomeOf(answer, request.number), answer)
    if (surplus !== '') this.#owner.onSurplus(surplus)
    if (surplus !== '' || /\r\nconnection: *close\r\n/i.test(answer)) this.#socket.destroy()
    else this.#owner.onIdle(this)
  }
}

const INCOMPLETE = -1
const MALFORMED = -2

function outcomeOf(answer: string, number: number): Outcome {
  if (!answer.startsWith('HTTP/1.1 200 ')) return 'refusal'
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
  return body === `number ${number}` || body === chunked(`number ${number}`) ? 'right' : 'wrong'
}

const chunked = (body: string): string => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`

/** Where the answer at the front of `bytes` ends, or INCOMPLETE, or MALFORMED. */
function endOfAnswer(bytes: string): number {
  if (!'HTTP/1.1 '.startsWith(bytes.slice(0, 9))) return MALFORMED
  const body = bytes.indexOf('\r\n\r\n') + 4
  if (body < 4) return INCOMPLETE
  const head = bytes.slice(0, body)
  const length = /\r\ncontent-length: *(\d+)\r\n/i.exec(head)
  if (length !== null) return bytes.length < body + Number(length[1]) ? INCOMPLETE : body + Number(length[1])
  return /\r\ntransfer-encoding: *chunked\r\n/i.test(head) ? endOfChunks(bytes, body) : MALFORMED
}

function endOfChunks(bytes: string, start: number): number {
  for (let at = start; ;) {
    const end = bytes.indexOf('\r\n', at)
    if (end < 0) return INCOMPLETE
    const size = bytes.slice(at, end)
    if (!/^[0-9a-f]+$/i.test(size)) return MALFORMED
    at = end + 2 + Number.parseInt(size, 16) + 2
    if (at > bytes.length) return INCOMPLETE
    if (Number.parseInt(size, 16) === 0) return at
  }
}
