import { type FSWatcher, watch } from 'node:fs'
import { basename, dirname } from 'node:path'

/** Editors and deployments write in several steps. */
const DEBOUNCE_MS = 200

/**
 * Calls `onChange` when one of `files` was changed or replaced, once for a burst. Folders are watched, not files: a
 * file that is replaced by a rename (as editors and Kubernetes do) would be lost with its inode.
 */
export class FileWatch {
  readonly #onChange: () => void
  #watchers: FSWatcher[] = []
  #timer: NodeJS.Timeout | null = null

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  follow(files: readonly string[]): void {
    this.#close()
    const names = new Map<string, Set<string>>()
    for (const file of files) {
      const folder = dirname(file)
      names.set(folder, (names.get(folder) ?? new Set()).add(basename(file)))
    }
    for (const [folder, files] of names) {
      const watcher = watch(folder, (_event, name) => {
        // Kubernetes swaps the link `..data` behind all files of the folder.
        if (name === null || files.has(name) || name === '..data') this.#changed()
      })
      watcher.on('error', () => this.#changed())
      this.#watchers.push(watcher)
    }
  }

  stop(): void {
    this.#close()
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }

  #close(): void {
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  #changed(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#timer = null
      this.#onChange()
    }, DEBOUNCE_MS)
  }
}
