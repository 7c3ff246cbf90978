import { connect, createServer, type Server, type Socket } from 'node:net'

export type RawAnswer = { bytes: string; isClosed: boolean }

/**
 * Sends exactly `pieces`, each as its own segment, and collects what comes until the connection closes, `until` says
 * that it is enough, or `quietMs` pass without a byte.
 */
export function sendRaw(port: number, pieces: readonly (string | Buffer)[], options: { until?: (bytes: string) => boolean; quietMs?: number } = {}): Promise<RawAnswer> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let bytes = ''
    let timer: NodeJS.Timeout | undefined
    const finish = (isClosed: boolean): void => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ bytes, isClosed })
    }
    const arm = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => finish(false), options.quietMs ?? 3000)
    }
    socket.on('data', chunk => {
      bytes += chunk.toString('latin1')
      if (options.until?.(bytes)) finish(false)
      else arm()
    })
    socket.on('error', () => {})
    socket.on('close', () => finish(true))
    socket.on('connect', () => {
      arm()
      void (async () => {
        for (const piece of pieces) {
          if (socket.destroyed) return
          await new Promise<void>(sent => socket.write(piece, () => setImmediate(sent)))
        }
      })()
    })
  })
}

/** One complete answer with Content-Length, or the whole of a chunked one. */
export function isWhole(bytes: string): boolean {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = /\r\ncontent-length: (\d+)/i.exec(bytes.slice(0, end + 2))
  return length === null ? bytes.endsWith('\r\n0\r\n\r\n') : bytes.length >= end + 4 + Number(length[1])
}

/** An upstream that does byte by byte what a test says; keeps all bytes that it received. */
export class RawUpstream {
  readonly #server: Server
  readonly received: string[] = []
  readonly sockets = new Set<Socket>()
  connections = 0

  private constructor(onData: (socket: Socket, received: string, connection: number) => void) {
    this.#server = createServer(socket => {
      const connection = this.connections++
      this.received[connection] = ''
      this.sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => this.sockets.delete(socket))
      socket.on('data', chunk => {
        this.received[connection] += chunk.toString('latin1')
        onData(socket, this.received[connection]!, connection)
      })
    })
  }

  static async start(onData: (socket: Socket, received: string, connection: number) => void): Promise<RawUpstream> {
    const upstream = new RawUpstream(onData)
    await new Promise<void>(resolve => upstream.#server.listen(0, '127.0.0.1', resolve))
    return upstream
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  stop(): void {
    this.#server.close()
    for (const socket of this.sockets) socket.destroy()
  }
}
