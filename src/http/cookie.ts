/**
 * The value of a cookie in a Cookie header; undefined without one. Of several with one name the first counts: a user
 * agent puts the one with the longest path there. Quotes are part of a value, escapes mean nothing.
 * Source: RFC 6265 sections 4.2.1 and 5.4.
 */
export function cookieValue(header: string, name: string): string | undefined {
  for (let start = 0; start < header.length;) {
    let end = header.indexOf(';', start)
    if (end < 0) end = header.length
    const equals = header.indexOf('=', start)
    // No pair further on has one either.
    if (equals < 0) return undefined
    if (equals < end && header.slice(start, equals).trim() === name) return header.slice(equals + 1, end).trim()
    start = end + 1
  }
  return undefined
}
