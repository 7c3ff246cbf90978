/** Where the list of routes can be cut: its first character, and the ends of its pieces. */
export type Cut = {
  readonly start: number
  /** Each is the start of the next piece; the last one is the end of the list. */
  readonly ends: readonly number[]
}

/** Pieces of this size keep the parser's trees young garbage. */
const PIECE_CHARACTERS = 65_536

/**
 * Finds the items of a top-level block list `routes:` by their indent, without reading them: whatever stands inside an
 * item is indented further (YAML 1.2.2 section 8.2.1), so a line that starts with the list's own indent and a dash
 * starts an item. Where the text is not like that, a piece fails to parse, and the caller reads the whole.
 */
export function cutRoutes(text: string): Cut | null {
  const heading = /^routes:[ \t]*(?:#.*)?\r?\n/m.exec(text)
  if (heading === null) return null
  const start = heading.index + heading[0].length
  const ends: number[] = []
  let indent = -1
  let pieceStart = start
  let offset = start
  while (offset < text.length) {
    const lineEnd = text.indexOf('\n', offset)
    const next = lineEnd === -1 ? text.length : lineEnd + 1
    let first = offset
    while (text.charCodeAt(first) === 0x20) first += 1
    const column = first - offset
    const sign = text.charCodeAt(first)
    const isBlank = sign === 0x0a || sign === 0x0d || sign === 0x23 || first >= text.length
    if (!isBlank) {
      const isItem = sign === 0x2d && /[ \r\n]/.test(text.charAt(first + 1))
      if (indent === -1) {
        if (!isItem) return null
        indent = column
      } else if (column < indent || (column === indent && !isItem)) {
        break
      } else if (column === indent && offset - pieceStart >= PIECE_CHARACTERS) {
        ends.push(offset)
        pieceStart = offset
      }
    }
    offset = next
  }
  if (indent === -1) return null
  ends.push(offset)
  return { start, ends }
}
