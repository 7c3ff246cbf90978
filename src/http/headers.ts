import type { HeadLines } from './message.ts'

/**
 * A short list of header lines in one flat array: name, value, name, value. Names are in lower case. Reading one is a
 * scan, which for the ten to twenty lines of a head is faster than to build a map that is used once.
 */
export class Headers implements HeadLines {
  readonly lines: string[] = []

  /** A copy, to be changed. */
  static of(lines: HeadLines): Headers {
    const headers = new Headers()
    lines.writeTo((name, value) => headers.add(name, String(value)))
    return headers
  }

  /** The values of all lines with this name, joined as RFC 9110 section 5.2 says; undefined without one. */
  get(name: string): string | undefined {
    const lines = this.lines
    let found: string | undefined
    for (let i = 0; i < lines.length; i += 2) {
      if (lines[i] !== name) continue
      // Cookie lines are joined by a semicolon (RFC 6265 section 5.4; RFC 9113 section 8.2.3).
      found = found === undefined ? lines[i + 1]! : found + (name === 'cookie' ? '; ' : ', ') + lines[i + 1]!
    }
    return found
  }

  add(name: string, value: string): void {
    this.lines.push(name, value)
  }

  set(name: string, value: string): void {
    this.remove(name)
    this.lines.push(name, value)
  }

  remove(name: string): void {
    const lines = this.lines
    let kept = 0
    for (let i = 0; i < lines.length; i += 2) {
      if (lines[i] === name) continue
      if (kept !== i) {
        lines[kept] = lines[i]!
        lines[kept + 1] = lines[i + 1]!
      }
      kept += 2
    }
    lines.length = kept
  }

  toText(): string {
    const lines = this.lines
    let text = ''
    for (let i = 0; i < lines.length; i += 2) text += `\r\n${lines[i]!}: ${lines[i + 1]!}`
    return text
  }

  writeTo(write: (name: string, value: string) => void): void {
    const lines = this.lines
    for (let i = 0; i < lines.length; i += 2) write(lines[i]!, lines[i + 1]!)
  }
}
