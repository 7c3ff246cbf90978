import { Worker } from 'node:worker_threads'
import { ConfigError, type ConfigProblem } from '../config/config-error.ts'
import type { Document } from '../config/schema.ts'
import type { SnapshotParts } from '../protocol/messages.ts'

export type LoaderData = {
  readonly file: string
  /** Something is being served: the thread yields to it. */
  readonly isReload: boolean
  /** null: none yet. */
  readonly servedVersion: string | null
}

/** The one message of the thread that loads a document. `parts` with the ports as the document has them. */
export type FromLoader =
  | {
    readonly type: 'loaded'
    readonly parts: SnapshotParts
    readonly document: Omit<Document, 'routes'>
    /** Content of the files that the document names. */
    readonly files: Readonly<Record<string, string>>
    readonly routeCount: number
  }
  | { readonly type: 'unchanged' }
  | { readonly type: 'invalid'; readonly problems: readonly ConfigProblem[] }
  | { readonly type: 'failed'; readonly problem: string }

/** A document that has been checked, ready for the workers. */
export type LoadedDocument = Extract<FromLoader, { type: 'loaded' }>

/**
 * Reads, checks and compiles a document in a thread of its own, which ends with it: what 50,000 routes take while they
 * are checked (300 MB and two seconds) neither holds up the primary nor stays in memory. Answers null when it is the
 * version served already.
 *
 * Failures: ConfigError with all that is wrong; Error when the thread itself failed.
 */
export function loadDocument(options: LoaderData): Promise<LoadedDocument | null> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./loader-thread.js', import.meta.url), { workerData: options })
    thread.on('message', (message: FromLoader) => {
      switch (message.type) {
        case 'loaded': return resolve(message)
        case 'unchanged': return resolve(null)
        case 'invalid': return reject(new ConfigError(message.problems))
        case 'failed': return reject(new Error(message.problem))
      }
    })
    thread.on('error', reject)
    thread.on('exit', () => reject(new Error('the thread that loads the document ended without an answer')))
  })
}
