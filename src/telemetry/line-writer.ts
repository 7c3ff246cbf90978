import { pino } from 'pino'

/** Kept for a destination that does not take more; then lines are dropped and counted. */
const MAX_BUFFERED_BYTES = 64 * 1024 * 1024

type Destination = ReturnType<typeof pino.destination>

/**
 * Writes whole lines to standard output, standard error or a file, without waiting for it. What a slow destination
 * leaves is bounded: a log must not take the memory of the gateway.
 */
export class LineWriter {
  readonly name: string
  readonly #destination: Destination
  #droppedBlocks = 0

  constructor(name: string, onError: (cause: Error) => void) {
    this.name = name
    const dest = name === 'stdout' ? 1 : name === 'stderr' ? 2 : name
    this.#destination = pino.destination({ dest, sync: false, mkdir: true, append: true, contentMode: 'buffer', maxLength: MAX_BUFFERED_BYTES })
    this.#destination.on('drop', () => { this.#droppedBlocks++ })
    this.#destination.on('error', onError)
  }

  get droppedBlocks(): number {
    return this.#droppedBlocks
  }

  write(lines: Uint8Array): void {
    this.#destination.write(Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength) as unknown as string)
  }

  /** Everything that was written is with the operating system when it resolves. */
  close(): Promise<void> {
    return new Promise(resolve => {
      this.#destination.once('close', resolve)
      this.#destination.once('error', () => resolve())
      this.#destination.end()
    })
  }
}
