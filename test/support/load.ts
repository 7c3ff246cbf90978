import { connect } from 'node:net'
import { isWhole } from './raw.ts'

export type LoadResult = { answered: Map<number, number>; wrong: string[]; cut: number }

/**
 * Keeps `connections` busy with GETs, one at a time on each, until `stop`. Each request has its own number, which the
 * upstream puts into its body: an answer that belongs to another request is found. A connection that ends is opened
 * anew; a request without a whole answer counts as cut.
 */
export class Load {
  readonly result: LoadResult = { answered: new Map(), wrong: [], cut: 0 }
  #isRunning = true
  #count = 0
  readonly #done: Promise<unknown>

  constructor(port: number, connections: number) {
    this.#done = Promise.all(Array.from({ length: connections }, () => this.#run(port)))
  }

  async stop(): Promise<LoadResult> {
    this.#isRunning = false
    await this.#done
    return this.result
  }

  async #run(port: number): Promise<void> {
    while (this.#isRunning) await this.#connection(port)
  }

  #connection(port: number): Promise<void> {
    return new Promise(resolve => {
      const socket = connect(port, '127.0.0.1')
      let bytes = ''
      let number = 0
      const next = (): void => {
        if (!this.#isRunning) {
          socket.end()
          return
        }
        bytes = ''
        number = ++this.#count
        socket.write(`GET /n/${number} HTTP/1.1\r\nHost: a\r\n\r\n`)
      }
      socket.on('connect', next)
      socket.on('data', chunk => {
        bytes += chunk.toString('latin1')
        if (!isWhole(bytes)) return
        const status = Number(bytes.slice(9, 12))
        this.result.answered.set(status, (this.result.answered.get(status) ?? 0) + 1)
        if (status === 200 && !bytes.endsWith(`\r\n\r\nnumber ${number}`)) this.result.wrong.push(bytes)
        number = 0
        next()
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        if (number !== 0) this.result.cut++
        resolve()
      })
    })
  }
}
