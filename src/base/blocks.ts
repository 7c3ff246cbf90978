/** The largest piece that is handed over at once: uWebSockets.js reads 512 KiB. */
export const BLOCK_BYTES = 524_288
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
