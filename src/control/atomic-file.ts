import { open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** What a file is called until it is whole; leftovers of a crash have this name. */
export const UNFINISHED = '.next'

/**
 * Writes a file so that whoever reads it, also after a crash or a power cut at any moment, finds the old content or the
 * new one, whole: the bytes are on the disk before the name leads to them, and the name before this resolves. One call at
 * a time and file. Only its owner may read it.
 */
export async function writeAtomically(file: string, text: string): Promise<void> {
  const unfinished = `${file}${UNFINISHED}`
  const handle = await open(unfinished, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(unfinished, file)
  await syncFolder(dirname(file))
}

/** Brings the names in a folder to the disk: fsync of a file says nothing about its name. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
