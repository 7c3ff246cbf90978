import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BLOCK_BYTES, fitsBlock, giveBlock, takeBlock } from '../base/blocks.ts'

/** Kept in memory, of one body; what is more goes to a file. Two reads of uWebSockets.js fit. */
const MAX_MEMORY_BYTES = 2 * BLOCK_BYTES

/** One for all bodies of a thread: what is read from a file is handed on before the next read. */
const FILE_BUFFER = Buffer.allocUnsafeSlow(262_144)

/**
 * Body bytes that have come and can't go on yet, in order. Pausing does not stop uWebSockets.js at once: it goes on
 * reading one socket, in one loop turn, for as long as each read fills its buffer. A client on the same machine can keep
 * that up for a whole gigabyte, so the memory is bounded here and the rest waits in an unlinked temporary file.
 */
export class BodyBacklog {
  /** Views of the memory below. */
  readonly #pieces: Buffer[] = []
  readonly #blocks: (Buffer | null)[] = []
  #memoryBytes = 0
  /** Taken with the last `shift`; free again at the next call. */
  #lent: Buffer | null = null
  #file: number | null = null
  #writtenBytes = 0
  #readBytes = 0

  get isEmpty(): boolean {
    return this.#pieces.length === 0 && this.#file === null
  }

  get byteCount(): number {
    return this.#memoryBytes + this.#writtenBytes - this.#readBytes
  }

  /** Copies `piece`. Throws when the temporary file can't be written. */
  push(piece: Uint8Array): void {
    if (this.#file !== null || this.#memoryBytes + piece.length > MAX_MEMORY_BYTES) {
      this.#spill(piece)
      return
    }
    const isBlock = fitsBlock(piece.length)
    const memory = isBlock ? takeBlock() : Buffer.allocUnsafe(piece.length)
    memory.set(piece)
    this.#pieces.push(memory.subarray(0, piece.length))
    this.#blocks.push(isBlock ? memory : null)
    this.#memoryBytes += piece.length
  }

  /** The next piece, valid until the next call; null when there is none. Throws when the file can't be read. */
  shift(): Buffer | null {
    this.#giveBack()
    const piece = this.#pieces.shift()
    if (piece !== undefined) {
      this.#lent = this.#blocks.shift()!
      this.#memoryBytes -= piece.length
      return piece
    }
    if (this.#file === null) return null
    const length = readSync(this.#file, FILE_BUFFER, 0, Math.min(FILE_BUFFER.length, this.#writtenBytes - this.#readBytes), this.#readBytes)
    if (length === 0) throw new Error('a temporary file is shorter than what was written to it')
    this.#readBytes += length
    if (this.#readBytes === this.#writtenBytes) this.#closeFile()
    return FILE_BUFFER.subarray(0, length)
  }

  clear(): void {
    this.#giveBack()
    for (const block of this.#blocks.splice(0)) if (block !== null) giveBlock(block)
    this.#pieces.length = 0
    this.#memoryBytes = 0
    this.#closeFile()
  }

  #giveBack(): void {
    if (this.#lent !== null) giveBlock(this.#lent)
    this.#lent = null
  }

  #spill(piece: Uint8Array): void {
    if (this.#file === null) {
      const path = join(tmpdir(), `penstock-body-${randomUUID()}`)
      this.#file = openSync(path, 'wx+', 0o600)
      // Without a name it is gone with its descriptor, also when the process is killed.
      unlinkSync(path)
    }
    for (let at = 0; at < piece.length;) at += writeSync(this.#file, piece, at, piece.length - at, this.#writtenBytes + at)
    this.#writtenBytes += piece.length
  }

  #closeFile(): void {
    if (this.#file !== null) closeSync(this.#file)
    this.#file = null
    this.#writtenBytes = this.#readBytes = 0
  }
}
