import type { AccessLogConfig } from '../config/schema.ts'
import { LineWriter } from '../telemetry/line-writer.ts'
import type { Log } from '../telemetry/log.ts'

/** The one writer of the access log; follows the document when its destination changes. */
export class AccessLogWriter {
  readonly #log: Log
  #writer: LineWriter | null
  #reportedDrops = 0

  constructor(config: AccessLogConfig | null, log: Log) {
    this.#log = log
    this.#writer = this.#open(config)
  }

  write(lines: Uint8Array): void {
    const writer = this.#writer
    if (writer === null) return
    writer.write(lines)
    if (writer.droppedBlocks > this.#reportedDrops) {
      this.#log.warn({ event: 'accessLogDropped', blocks: writer.droppedBlocks - this.#reportedDrops, destination: writer.name })
      this.#reportedDrops = writer.droppedBlocks
    }
  }

  async follow(config: AccessLogConfig | null): Promise<void> {
    if (config?.destination === this.#writer?.name) return
    const previous = this.#writer
    this.#writer = this.#open(config)
    this.#reportedDrops = 0
    await previous?.close()
  }

  async close(): Promise<void> {
    await this.#writer?.close()
  }

  #open(config: AccessLogConfig | null): LineWriter | null {
    if (config === null) return null
    const { destination } = config
    return new LineWriter(destination, cause => {
      this.#log.error({ event: 'accessLogFailed', destination, problem: cause.message })
    })
  }
}
