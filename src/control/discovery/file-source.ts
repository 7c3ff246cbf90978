import { createHash } from 'node:crypto'
import { type FileHandle, constants, open } from 'node:fs/promises'
import { listedEndpoints, MAX_LIST_BYTES, tooLarge } from './listed-endpoints.ts'
import { type FoundEndpoint, type Lookup, LookupError } from './lookup-loop.ts'
import { OneAtATime } from './one-at-a-time.ts'

/** Longer than a tick of the clock of any file system (2 s on FAT). */
const SETTLED_AFTER_MS = 3000

type Reading = {
  /** Which file it was, its size and times. */
  readonly stamp: string
  /** It was written so long before that another content has another stamp. */
  readonly isSettled: boolean
  readonly hash: string
  readonly outcome: readonly FoundEndpoint[] | LookupError
}

/**
 * A file with a JSON list of endpoints, looked at every `intervalMs`: its times and size first, then the content, which is
 * parsed when it is another. Opened by name each time, so one that a rename or a link puts in its place is seen. Write it
 * under another name and rename it: what is read while it is being written may be a failure.
 */
export function createFileLookup(file: string, { intervalMs }: { readonly intervalMs: number }): Lookup {
  const reads = new OneAtATime<Reading>()
  let last: Reading | null = null
  return async signal => {
    const before = last
    last = await reads.run(() => readList(file, before), signal)
    if (last.outcome instanceof LookupError) throw last.outcome
    return { endpoints: last.outcome === before?.outcome ? null : last.outcome, nextMs: intervalMs, problem: null }
  }
}

async function readList(file: string, before: Reading | null): Promise<Reading> {
  try {
    // Opening a named pipe would wait for its writer otherwise.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      return await readFrom(handle, before)
    } finally {
      await handle.close()
    }
  } catch (cause) {
    if (cause instanceof LookupError) throw cause
    throw new LookupError(`the file can't be read (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message})`)
  }
}

async function readFrom(handle: FileHandle, before: Reading | null): Promise<Reading> {
  const stat = await handle.stat({ bigint: true })
  if (!stat.isFile()) throw new LookupError('the file can\'t be read: is not a regular file')
  if (stat.size > MAX_LIST_BYTES) throw tooLarge()
  const stamp = [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].join(' ')
  if (before !== null && before.isSettled && before.stamp === stamp) return before
  const isSettled = Date.now() - Math.max(Number(stat.mtimeMs), Number(stat.ctimeMs)) > SETTLED_AFTER_MS
  const bytes = await handle.readFile()
  if (bytes.length > MAX_LIST_BYTES) throw tooLarge()
  const hash = createHash('sha256').update(bytes).digest('base64')
  return { stamp, isSettled, hash, outcome: before?.hash === hash ? before.outcome : await outcomeOf(bytes) }
}

async function outcomeOf(bytes: Buffer): Promise<Reading['outcome']> {
  try {
    return await listedEndpoints(bytes)
  } catch (cause) {
    if (cause instanceof LookupError) return cause
    throw cause
  }
}
