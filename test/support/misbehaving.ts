import { createServer, type Server, type Socket } from 'node:net'
import type { Behaviour, UpstreamRequest } from './behaviours.ts'
import { RequestReader } from './request-reader.ts'

/** Heads of requests that are kept, the youngest. */
const MAX_HEADS = 1000

/** `refuses`: no connection at all, while it keeps its port in mind. A list: one a turn, the last goes on. */
export type Behaviours = 'refuses' | Behaviour | readonly Behaviour[]

/** An upstream that behaves as badly as a test says, and counts what it sees. */
export class MisbehavingUpstream {
  readonly #sockets = new Set<Socket>()
  readonly #waiters = new Set<() => void>()
  #server: Server | null = null
  #port = 0
  #turns: readonly Behaviour[] = []
  #turn = 0
  /** Connections that were accepted. */
  connections = 0
  /** Requests whose head has come whole. */
  requests = 0
  /** Bytes of request bodies that came whole. */
  bodyBytes = 0
  /** What went wrong with what was sent to it; a test wants none. */
  readonly faults: string[] = []
  readonly heads: string[] = []

  static async start(behaviours: Behaviours): Promise<MisbehavingUpstream> {
    const upstream = new MisbehavingUpstream()
    await upstream.#listen()
    await upstream.behave(behaviours)
    return upstream
  }

  get port(): number {
    return this.#port
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  get openConnections(): number {
    return this.#sockets.size
  }

  /** From the next turn on; the connections that are open stay, unless it refuses, and are read. */
  async behave(behaviours: Behaviours): Promise<void> {
    if (behaviours === 'refuses') return this.#close()
    this.#turns = Array.isArray(behaviours) ? behaviours as readonly Behaviour[] : [behaviours as Behaviour]
    this.#turn = 0
    // A socket that is not read shows no end either.
    for (const socket of this.#sockets) socket.resume()
    if (this.#server === null) await this.#listen()
  }

  /** Ends all connections that are open, as a restart does. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  /** Looks anew after each connection, request, and close. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) await new Promise<void>(resolve => this.#waiters.add(resolve))
  }

  stop(): Promise<void> {
    return this.#close()
  }

  async #listen(): Promise<void> {
    // Half open: a FIN of the gateway must not end our side by itself.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => { void this.#serve(socket) })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#server = server
    this.#port = (server.address() as { port: number }).port
  }

  async #close(): Promise<void> {
    const server = this.#server
    if (server === null) return
    this.#server = null
    const closed = new Promise(resolve => server.close(resolve))
    this.dropConnections()
    await closed
  }

  async #serve(socket: Socket): Promise<void> {
    this.connections++
    this.#sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#wake()
    })
    this.#wake()
    if (this.#next().when === 'connect') {
      const behaviour = this.#take()
      if (behaviour.when === 'connect') return behaviour.act(socket)
    }
    try {
      await this.#serveRequests(socket, new RequestReader(socket))
    } catch (cause) {
      this.faults.push(String(cause))
      socket.destroy()
    }
  }

  async #serveRequests(socket: Socket, reader: RequestReader): Promise<void> {
    for (;;) {
      const head = await reader.readHead()
      if (head === null) {
        socket.end()
        return
      }
      const [method = '', target = ''] = head.split(' ', 2)
      const request: UpstreamRequest = { index: ++this.requests, head, method, target }
      this.heads.push(head)
      if (this.heads.length > MAX_HEADS) this.heads.shift()
      const behaviour = this.#take()
      this.#wake()
      if (behaviour.when === 'connect') return behaviour.act(socket)
      if (behaviour.when === 'head') await behaviour.act(socket, request)
      const byteCount = await reader.skipBody(head)
      if (byteCount === null) {
        socket.end()
        return
      }
      this.bodyBytes += byteCount
      if (behaviour.when === 'request') await behaviour.act(socket, request)
    }
  }

  #next(): Behaviour {
    return this.#turns[Math.min(this.#turn, this.#turns.length - 1)]!
  }

  #take(): Behaviour {
    const behaviour = this.#next()
    this.#turn++
    return behaviour
  }

  #wake(): void {
    for (const waiter of this.#waiters) waiter()
    this.#waiters.clear()
  }
}
