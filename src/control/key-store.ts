import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { syncFolder, UNFINISHED, writeAtomically } from './atomic-file.ts'
import { FolderLock } from './folder-lock.ts'
import { type Entry, fileNameOf, IDENTITY_FILE, printEntries, readEntries } from './identity-file.ts'
import {
  type ConsumerRecord, type IdentityChange, IdentityError, type IdentityStore, isValid, type KeyRecord, type NewConsumer, type NewKey,
} from './identity-store.ts'

/** Keys of one consumer that can't be used any more and are kept to be looked up; older ones are forgotten. */
const MAX_DEAD_KEYS = 50

export type KeyStoreOptions = {
  readonly folder: string
  /** Keys of one consumer that may be valid at a time. */
  readonly maxKeysPerConsumer: number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

/** Consumers and keys in files of one folder, which belongs to one process at a time. */
export class KeyStore implements IdentityStore {
  onChange: ((change: IdentityChange) => void) | null = null
  readonly #options: KeyStoreOptions
  readonly #lock: FolderLock
  /** By name of the file, then by id of the consumer. */
  readonly #files = new Map<string, Map<string, Entry>>()
  /** Id of the consumer, by id of the key. */
  readonly #owners = new Map<string, string>()
  /** Sorted ids, made when they are asked for. */
  #consumerIds: string[] | null = null
  #keyIds: string[] | null = null
  /** Writes go one after the other: each starts from what the one before has left. */
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  private constructor(options: KeyStoreOptions, lock: FolderLock) {
    this.#options = options
    this.#lock = lock
  }

  /**
   * Makes the folder where it is missing. Throws an Error with a remedy: another process has the folder, or a file in it
   * can't be read.
   */
  static async open(options: KeyStoreOptions): Promise<KeyStore> {
    const { folder } = options
    const made = mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (made !== undefined) await syncFolder(dirname(made))
    const lock = FolderLock.take(folder)
    try {
      const store = new KeyStore(options, lock)
      store.#read()
      return store
    } catch (cause) {
      lock.release()
      throw cause
    }
  }

  /** Whether a folder holds what an earlier run has written. */
  static hasContent(folder: string): boolean {
    try {
      return readdirSync(folder).some(name => IDENTITY_FILE.test(name))
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw cause
    }
  }

  consumer(id: string): ConsumerRecord | null {
    return this.#entry(id)?.record ?? null
  }

  consumers(after: string | null, limit: number): ConsumerRecord[] {
    this.#consumerIds ??= Array.from(this.records().consumers, ({ id }) => id).sort()
    return pageOf(this.#consumerIds, after, limit).map(id => this.consumer(id)!)
  }

  key(id: string): KeyRecord | null {
    const owner = this.#owners.get(id)
    return owner === undefined ? null : this.keysOf(owner).find(key => key.id === id) ?? null
  }

  keysOf(consumerId: string): readonly KeyRecord[] {
    return this.#entry(consumerId)?.keys ?? []
  }

  keys(after: string | null, limit: number): KeyRecord[] {
    this.#keyIds ??= [...this.#owners.keys()].sort()
    return pageOf(this.#keyIds, after, limit).map(id => this.key(id)!)
  }

  records(): { readonly consumers: Iterable<ConsumerRecord>; readonly keys: Iterable<KeyRecord> } {
    const entries = [...this.#files.values()].flatMap(file => [...file.values()])
    return {
      consumers: entries.flatMap(({ record }) => (record === null ? [] : [record])),
      keys: entries.flatMap(({ keys }) => keys),
    }
  }

  createConsumer(consumer: NewConsumer): Promise<ConsumerRecord> {
    return this.#inTurn(async () => {
      if (this.consumer(consumer.id) !== null) throw new IdentityError('consumerExists', `consumer '${consumer.id}' exists already`)
      const { id, plan, groups } = consumer
      const record: ConsumerRecord = { id, plan, groups: [...groups], createdAtMs: this.#options.nowMs() }
      await this.#write(id, { record, keys: this.keysOf(id) }, { consumers: [record], keys: [] })
      return record
    })
  }

  createKey(key: NewKey): Promise<KeyRecord> {
    return this.#inTurn(async () => {
      const nowMs = this.#options.nowMs()
      const { maxKeysPerConsumer } = this.#options
      const { digest, prefix, lastFour, consumerId, plan, expiresAtMs } = key
      const others = this.keysOf(consumerId)
      if (others.filter(other => isValid(other, nowMs)).length >= maxKeysPerConsumer) {
        throw new IdentityError('tooManyKeys', `consumer '${consumerId}' has ${maxKeysPerConsumer} valid keys already: revoke one first`)
      }
      const record: KeyRecord = {
        id: this.#newId(), digest, prefix, lastFour, consumerId, plan, createdAtMs: nowMs, expiresAtMs, revokedAtMs: null,
      }
      await this.#writeKeys(consumerId, [...others, record], record)
      return record
    })
  }

  revokeKey(id: string): Promise<KeyRecord> {
    return this.#inTurn(async () => {
      const key = this.key(id)
      if (key === null) throw new IdentityError('unknownKey', `there is no key '${id}'`)
      if (key.revokedAtMs !== null) return key
      const revoked: KeyRecord = { ...key, revokedAtMs: this.#options.nowMs() }
      await this.#writeKeys(key.consumerId, this.keysOf(key.consumerId).map(each => (each === key ? revoked : each)), revoked)
      return revoked
    })
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#last
    this.#lock.release()
  }

  #read(): void {
    const { folder } = this.#options
    for (const name of readdirSync(folder)) {
      const file = join(folder, name)
      // A write that was cut off: nobody was told that it had happened.
      if (name.endsWith(UNFINISHED)) rmSync(file)
      if (!IDENTITY_FILE.test(name)) continue
      const entries = readEntries(file)
      this.#files.set(name, entries)
      for (const [consumerId, { keys }] of entries) for (const { id } of keys) this.#owners.set(id, consumerId)
    }
  }

  #entry(consumerId: string): Entry | undefined {
    return this.#files.get(fileNameOf(consumerId))?.get(consumerId)
  }

  #newId(): string {
    for (;;) {
      const id = `key_${randomBytes(8).toString('hex')}`
      if (!this.#owners.has(id)) return id
    }
  }

  #inTurn<T>(write: () => Promise<T>): Promise<T> {
    if (this.#isClosed) return Promise.reject(new Error('the store is closed'))
    const done = this.#last.then(write)
    // The next write does not care how this one went.
    this.#last = done.catch(() => {})
    return done
  }

  #writeKeys(consumerId: string, keys: readonly KeyRecord[], changed: KeyRecord): Promise<void> {
    const nowMs = this.#options.nowMs()
    let surplus = keys.filter(key => !isValid(key, nowMs)).length - MAX_DEAD_KEYS
    const kept = keys.filter(key => key === changed || isValid(key, nowMs) || surplus-- <= 0)
    return this.#write(consumerId, { record: this.consumer(consumerId), keys: kept }, { consumers: [], keys: [changed] })
  }

  /** Disk first: what this process answers from is never ahead of what it would find after a crash. */
  async #write(consumerId: string, entry: Entry, change: IdentityChange): Promise<void> {
    const name = fileNameOf(consumerId)
    const entries = new Map(this.#files.get(name)).set(consumerId, entry)
    this.#lock.check()
    await writeAtomically(join(this.#options.folder, name), printEntries(entries))
    for (const { id } of this.keysOf(consumerId)) this.#owners.delete(id)
    for (const { id } of entry.keys) this.#owners.set(id, consumerId)
    this.#files.set(name, entries)
    this.#consumerIds = null
    this.#keyIds = null
    this.onChange?.(change)
  }
}

/** Ids after `after`, by halving: `ids` is sorted. */
function pageOf(ids: readonly string[], after: string | null, limit: number): readonly string[] {
  if (after === null) return ids.slice(0, limit)
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ids[middle]! <= after) low = middle + 1
    else high = middle
  }
  return ids.slice(low, low + limit)
}
