import type { Socket } from 'node:net'

/** What is kept unread of one connection; then its peer has to wait. */
const MAX_KEPT_BYTES = 1_048_576

/**
 * Reads the requests on one connection, one after the other: just enough to know where each ends. What is malformed is
 * the gateway's fault, so it throws.
 */
export class RequestReader {
  readonly #socket: Socket
  #kept: Buffer = Buffer.alloc(0)
  #isOver = false
  #wake: (() => void) | null = null

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#kept = Buffer.concat([this.#kept, chunk])
      if (this.#kept.length > MAX_KEPT_BYTES) socket.pause()
      this.#wake?.()
    })
    for (const event of ['end', 'close']) {
      socket.on(event, () => {
        this.#isOver = true
        this.#wake?.()
      })
    }
  }

  /** The next head with its empty line; null when none comes any more. */
  async readHead(): Promise<string | null> {
    const end = await this.#find('\r\n\r\n')
    return end < 0 ? null : this.#take(end + 4).toString('latin1')
  }

  /** Bytes of the body that belongs to `head`; null when the connection ended within it. */
  async skipBody(head: string): Promise<number | null> {
    if (/\r\ntransfer-encoding: *chunked\r\n/i.test(head)) return this.#skipChunks()
    const length = Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1] ?? 0)
    return await this.#skip(length) ? length : null
  }

  async #skipChunks(): Promise<number | null> {
    let count = 0
    for (;;) {
      const end = await this.#find('\r\n')
      if (end < 0) return null
      const line = this.#take(end + 2).toString('latin1').trim()
      if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not the size of a chunk: '${line}'`)
      const size = Number.parseInt(line, 16)
      if (!await this.#skip(size + 2)) return null
      if (size === 0) return count
      count += size
    }
  }

  async #skip(byteCount: number): Promise<boolean> {
    let left = byteCount
    for (;;) {
      left -= this.#take(Math.min(left, this.#kept.length)).length
      if (left === 0) return true
      if (this.#isOver) return false
      await this.#more()
    }
  }

  async #find(text: string): Promise<number> {
    for (;;) {
      const at = this.#kept.indexOf(text)
      if (at >= 0 || this.#isOver) return at
      await this.#more()
    }
  }

  #take(byteCount: number): Buffer {
    const taken = this.#kept.subarray(0, byteCount)
    this.#kept = this.#kept.subarray(byteCount)
    return taken
  }

  #more(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = () => {
        this.#wake = null
        resolve()
      }
      this.#socket.resume()
    })
  }
}
