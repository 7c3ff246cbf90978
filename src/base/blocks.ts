/** The largest piece that is handed over at once: uWebSockets.js reads 512 KiB. */
export const BLOCK_BYTES = 524_288
/** A piece up to this size gets a buffer of its own: a block would be wasted on it. */
const MAX_SMALL_BYTES = 16_384
/** Of each thread; more are made when they are needed, and left to the collector afterwards. */
const MAX_FREE = 16

const free: Buffer[] = []

/**
 * A block of memory for what has to outlive the call that brought it, to be given back with `giveBlock`. A new buffer a
 * piece would do, but V8 lets a gigabyte of dead ones lie before it collects them: a body of 1 GiB took 1.1 GiB.
 */
export function takeBlock(): Buffer {
  return free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES)
}

/** Nothing may read or write it any more. */
export function giveBlock(block: Buffer): void {
  if (free.length < MAX_FREE) free.push(block)
}

/** Whether a piece of so many bytes is better kept in a block than in a buffer of its own. */
export function fitsBlock(byteCount: number): boolean {
  return byteCount > MAX_SMALL_BYTES && byteCount <= BLOCK_BYTES
}
