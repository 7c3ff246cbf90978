// What stands in a query for something else: escapes, and the plus sign for a space.
const HAS_ESCAPES = /[%+]/
const EQUALS = 0x3d

/**
 * The first value of a query parameter, decoded; undefined without one. `query` is raw, without its question mark, `name`
 * as it is meant. Malformed escapes stand for themselves, bytes that are not UTF-8 become U+FFFD.
 * Source: application/x-www-form-urlencoded of the URL Standard.
 */
export function queryValue(query: string, name: string): string | undefined {
  // Behind an ampersand: at the very start URLSearchParams would take a question mark for one that begins a query.
  if (HAS_ESCAPES.test(query)) return new URLSearchParams(`&${query}`).get(name) ?? undefined
  for (let start = 0; start < query.length;) {
    let end = query.indexOf('&', start)
    if (end < 0) end = query.length
    const nameEnd = start + name.length
    if (end >= nameEnd && end > start && query.startsWith(name, start)) {
      if (nameEnd === end) return ''
      if (query.charCodeAt(nameEnd) === EQUALS) return query.slice(nameEnd + 1, end)
    }
    start = end + 1
  }
  return undefined
}
