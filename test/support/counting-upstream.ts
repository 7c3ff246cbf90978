import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A real HTTP server that counts its requests and answers as a test says. */
export class CountingUpstream {
  readonly #server: Server
  readonly requests: { method: string; url: string; headers: IncomingMessage['headers']; body: string }[] = []
  answer: (response: ServerResponse, number: number, request: IncomingMessage) => void

  private constructor(answer: CountingUpstream['answer']) {
    this.answer = answer
    this.#server = createServer((request, response) => {
      let body = ''
      request.on('data', (chunk: Buffer) => { body += chunk.toString('latin1') })
      request.on('end', () => {
        this.requests.push({ method: request.method!, url: request.url!, headers: request.headers, body })
        this.answer(response, this.requests.length, request)
      })
      request.on('error', () => {})
    })
  }

  static async start(answer: CountingUpstream['answer'] = response => response.end('ok'), port = 0): Promise<CountingUpstream> {
    const upstream = new CountingUpstream(answer)
    await new Promise<void>(resolve => upstream.#server.listen(port, '127.0.0.1', resolve))
    return upstream
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  async stop(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve))
    this.#server.closeAllConnections()
    await closed
  }
}

/** A port on which nothing listens. */
export async function closedPort(): Promise<number> {
  const upstream = await CountingUpstream.start()
  const { port } = upstream
  await upstream.stop()
  return port
}
