import type { Finding } from './source-document.ts'

/** What is looked for at and below one value. */
type Wanted = {
  readonly below: Map<string, Wanted>
  /** Offset of the name, or of the value where it has none; -1 when the value is not there. */
  nameOffset: number
  valueOffset: number
  endOffset: number
}

/** Finds values in a text that is JSON: one pass for all of them, which steps over whatever no one asked for. */
export class JsonPlaces {
  readonly #text: string
  #offset = 0

  constructor(text: string) {
    this.#text = text
  }

  locate(findings: readonly Finding[]): number[] {
    const root = newWanted()
    for (const { path } of findings) {
      let wanted = root
      for (const step of path) {
        const name = String(step)
        let next = wanted.below.get(name)
        if (next === undefined) wanted.below.set(name, next = newWanted())
        wanted = next
      }
    }
    this.#skipSpace()
    root.nameOffset = this.#offset
    this.#value(root)
    return findings.map(finding => this.#offsetOf(finding, root))
  }

  #offsetOf({ path, at, needle, offset }: Finding, root: Wanted): number {
    if (offset !== undefined) return offset
    let wanted = root
    for (const step of path) {
      const next = wanted.below.get(String(step))
      if (next === undefined || next.valueOffset === -1) return wanted.valueOffset
      wanted = next
    }
    if (at === 'key') return wanted.nameOffset
    if (needle === undefined) return wanted.valueOffset
    const found = this.#text.indexOf(needle, wanted.valueOffset)
    return found === -1 || found >= wanted.endOffset ? wanted.valueOffset : found
  }

  #value(wanted: Wanted | undefined): void {
    if (wanted !== undefined) wanted.valueOffset = this.#offset
    switch (this.#text[this.#offset]) {
      case '{': this.#members(wanted, '}'); break
      case '[': this.#members(wanted, ']'); break
      case '"': this.#offset = endOfString(this.#text, this.#offset); break
      default: while (!/[\s,\]}]|^$/.test(this.#text.charAt(this.#offset))) this.#offset += 1
    }
    if (wanted !== undefined) wanted.endOffset = this.#offset
  }

  #members(wanted: Wanted | undefined, close: string): void {
    this.#offset += 1
    for (let index = 0; ; index++) {
      this.#skipSpace()
      const sign = this.#text[this.#offset]
      if (sign === ',') { this.#offset += 1; this.#skipSpace() }
      if (this.#text[this.#offset] === close) { this.#offset += 1; return }
      const nameOffset = this.#offset
      let name = String(index)
      if (close === '}') {
        this.#offset = endOfString(this.#text, nameOffset)
        name = wanted === undefined ? '' : JSON.parse(this.#text.slice(nameOffset, this.#offset)) as string
        this.#skipSpace()
        this.#offset += 1
        this.#skipSpace()
      }
      const member = wanted?.below.get(name)
      if (member !== undefined) member.nameOffset = nameOffset
      this.#value(member)
    }
  }

  #skipSpace(): void {
    while (this.#text.charCodeAt(this.#offset) <= 0x20) this.#offset += 1
  }
}

function newWanted(): Wanted {
  return { below: new Map(), nameOffset: -1, valueOffset: -1, endOffset: -1 }
}

/** The offset behind a string that starts at `start` with its quote. */
export function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let backslashes = 0
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes += 1
    // An odd number of them: the quote is escaped.
    if (backslashes % 2 === 0) return end + 1
  }
}
