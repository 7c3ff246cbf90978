/**
 * A bounded map that keeps what was used last: two generations, of which a full young one becomes the old one and the old
 * one is dropped. A hit in the young one changes nothing, where a list in order of use would move an entry each time.
 */
export class RecentMap<V> {
  readonly #maxEntries: number
  readonly #maxChars: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()
  #youngChars = 0
  #oldChars = 0

  /** `maxEntries`, and `maxChars` of all keys together: both generations together never hold more; each at least 2. */
  constructor(bounds: { readonly maxEntries: number; readonly maxChars: number }) {
    this.#maxEntries = Math.max(1, bounds.maxEntries >> 1)
    this.#maxChars = Math.max(1, bounds.maxChars >> 1)
  }

  /** An entry may be in both generations, and counts twice then. */
  get size(): number {
    return this.#young.size + this.#old.size
  }

  get chars(): number {
    return this.#youngChars + this.#oldChars
  }

  get(key: string): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const older = this.#old.get(key)
    if (older !== undefined) this.set(key, older)
    return older
  }

  /** A key longer than half of `maxChars` is not kept. */
  set(key: string, value: V): void {
    if (key.length > this.#maxChars) return
    if (!this.#young.has(key)) {
      if (this.#young.size >= this.#maxEntries || this.#youngChars + key.length > this.#maxChars) this.#turn()
      this.#youngChars += key.length
    }
    this.#young.set(key, value)
  }

  delete(key: string): void {
    if (this.#young.delete(key)) this.#youngChars -= key.length
    if (this.#old.delete(key)) this.#oldChars -= key.length
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
    this.#youngChars = this.#oldChars = 0
  }

  #turn(): void {
    this.#old = this.#young
    this.#oldChars = this.#youngChars
    this.#young = new Map()
    this.#youngChars = 0
  }
}
