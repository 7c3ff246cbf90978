import { connect, type Socket } from 'node:net'
import { percentile, round } from './statistics.ts'

export type OpenLoopOptions = {
  readonly port: number
  /** Path of the request with that number. */
  readonly path: (index: number) => string
  readonly perSecond: number
  readonly connections: number
  readonly seconds: number
  /** A sample each, in milliseconds since the start: when it should have been sent, and how long until its last byte. */
  readonly onSample?: (intendedMs: number, latencyMs: number) => void
}

export type OpenLoopResult = {
  readonly requests: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly greatestMs: number
  /** Not 2xx, cut off, or without an answer GRACE_MS after the end. */
  readonly failures: number
}

const TICK_MS = 1
const GRACE_MS = 3000

/**
 * Sends at a fixed rate whatever the answers do, and measures each from the time at which it should have been sent. A
 * subject that stalls is charged for all that would have come meanwhile, where a closed loop would have waited with it
 * (coordinated omission). A request waits here while all connections are busy: one is on a connection at a time.
 */
export function openLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  return new Promise((resolve, reject) => {
    const total = Math.round(options.perSecond * options.seconds)
    const latencies = new Float64Array(total)
    let sent = 0, answered = 0, failures = 0, isOver = false
    const idle: Connection[] = []
    const connections: Connection[] = []
    let startMs = 0
    const intendedMs = (index: number): number => index * 1000 / options.perSecond

    const sendDue = (): void => {
      const dueCount = Math.min(total, Math.floor((performance.now() - startMs) * options.perSecond / 1000) + 1)
      while (sent < dueCount && idle.length > 0) idle.pop()!.send(sent++)
    }
    const settle = (index: number, isSuccess: boolean): void => {
      if (isOver) return
      const latencyMs = performance.now() - startMs - intendedMs(index)
      latencies[answered++] = latencyMs
      if (!isSuccess) failures++
      options.onSample?.(intendedMs(index), latencyMs)
      if (answered === total) finish()
    }
    const finish = (): void => {
      isOver = true
      clearInterval(ticker)
      for (const connection of connections) connection.socket.destroy()
      const sorted = latencies.subarray(0, answered).sort()
      resolve({
        requests: answered,
        p50Ms: round(percentile(sorted, 0.5)), p90Ms: round(percentile(sorted, 0.9)), p99Ms: round(percentile(sorted, 0.99)),
        p999Ms: round(percentile(sorted, 0.999)), greatestMs: round(percentile(sorted, 1)),
        failures: failures + total - answered,
      })
    }

    class Connection {
      socket!: Socket
      #index = -1
      #head = ''
      #missing = 0
      #isSuccess = false

      open(): Promise<void> {
        return new Promise((opened, failed) => {
          this.socket = connect(options.port, '127.0.0.1', opened)
          this.socket.setNoDelay(true)
          this.socket.on('data', chunk => this.#read(chunk))
          this.socket.on('error', failed)
          this.socket.on('close', () => this.#onClose())
        })
      }

      send(index: number): void {
        this.#index = index
        this.socket.write(`GET ${options.path(index)} HTTP/1.1\r\nHost: bench\r\n\r\n`)
      }

      #read(chunk: Buffer): void {
        if (this.#missing > 0) this.#missing -= chunk.length
        else {
          this.#head += chunk.toString('latin1')
          const end = this.#head.indexOf('\r\n\r\n')
          if (end < 0) return
          const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)
          if (length === null || length.index > end) throw new Error(`an answer without Content-Length:\n${this.#head.slice(0, end)}`)
          this.#isSuccess = this.#head.charCodeAt(9) === 0x32
          this.#missing = Number(length[1]) - (this.#head.length - end - 4)
        }
        if (this.#missing > 0) return
        this.#head = ''
        this.#missing = 0
        const index = this.#index
        this.#index = -1
        idle.push(this)
        settle(index, this.#isSuccess)
        if (!isOver) sendDue()
      }

      #onClose(): void {
        if (isOver) return
        if (this.#index >= 0) settle(this.#index, false)
        else idle.splice(idle.indexOf(this), 1)
        this.#index = -1
        this.#head = ''
        this.#missing = 0
        if (!isOver) this.open().then(() => idle.push(this), () => {})
      }
    }

    let ticker: NodeJS.Timeout
    for (let i = 0; i < options.connections; i++) connections.push(new Connection())
    Promise.all(connections.map(connection => connection.open())).then(() => {
      idle.push(...connections)
      startMs = performance.now()
      ticker = setInterval(() => {
        sendDue()
        if (performance.now() - startMs > options.seconds * 1000 + GRACE_MS) finish()
      }, TICK_MS)
    }, reject)
  })
}
