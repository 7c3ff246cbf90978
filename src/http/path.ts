const PERCENT = 0x25
const DOT = 0x2e
const SLASH = 0x2f

/** Classes of ASCII characters in a path; what is not here (above 0x7e) is forbidden. */
const PLAIN = 0
const FORBIDDEN = 1
/** `%`, and a dot that could begin a dot segment. */
const SPECIAL = 2

const CLASSES = new Uint8Array(0x7f).fill(PLAIN)
CLASSES.fill(FORBIDDEN, 0, 0x21)
// A backslash is a slash to some readers; `#` and `?` end a path, so in one they mean that two readers cut differently.
for (const character of '#?\\') CLASSES[character.charCodeAt(0)] = FORBIDDEN
CLASSES[PERCENT] = CLASSES[DOT] = SPECIAL

/** RFC 3986 section 2.3: an escape of one of these is the character itself. */
const IS_UNRESERVED = /^[A-Za-z0-9\-._~]$/
const HEX = '0123456789ABCDEF'
/** By the value of the octet: the text that stands for its escape; '' for one that is refused. */
const ESCAPES = Array.from({ length: 256 }, (_, octet) => {
  const character = String.fromCharCode(octet)
  return IS_UNRESERVED.test(character) ? character : `%${HEX[octet >> 4]}${HEX[octet & 15]}`
})
// RFC 3986 section 7.3: NUL ends the path for readers written in C. nginx and Envoy refuse it too.
ESCAPES[0] = ''

/**
 * The normal form of a request path: hexadecimal digits of escapes in upper case, unreserved characters decoded, dot
 * segments removed (also escaped ones). `%2F` stays encoded and `//` is kept: they are not the same path. Above the
 * root, `..` stays there. A path in normal form comes back as the same string without anything being allocated.
 *
 * Null for a path that does not start with `/`, a malformed escape, `%00`, and characters in which readers differ:
 * controls, space, backslash, `#`, `?` and whatever is not ASCII. Other characters that RFC 3986 wants escaped
 * (`"<>^{|}` and the backtick) pass as they are, as in nginx.
 *
 * Source: RFC 3986 sections 6.2.2 and 5.2.4.
 */
export function normalisePath(path: string): string | null {
  const { length } = path
  if (length === 0 || path.charCodeAt(0) !== SLASH) return null
  for (let i = 1; i < length; i++) {
    const kind = CLASSES[path.charCodeAt(i)]
    if (kind === PLAIN) continue
    if (kind !== SPECIAL) return null
    if (path.charCodeAt(i) === DOT ? isDotSegment(path, i) : !isNormalEscape(path, i)) return rewrite(path)
  }
  return path
}

/** Whether the dot at `index` begins a segment that is `.` or `..`. */
function isDotSegment(path: string, index: number): boolean {
  if (path.charCodeAt(index - 1) !== SLASH) return false
  const next = path.charCodeAt(index + 1) === DOT ? index + 2 : index + 1
  return next === path.length || path.charCodeAt(next) === SLASH
}

function isNormalEscape(path: string, index: number): boolean {
  const escape = ESCAPES[octetAt(path, index)]
  return escape !== undefined && escape.length === 3
    && path.charCodeAt(index + 1) === escape.charCodeAt(1) && path.charCodeAt(index + 2) === escape.charCodeAt(2)
}

/** The octet of the escape at `index`; -1 when it is malformed. */
function octetAt(path: string, index: number): number {
  const high = digitOf(path.charCodeAt(index + 1))
  const low = digitOf(path.charCodeAt(index + 2))
  return high < 0 || low < 0 ? -1 : high << 4 | low
}

function digitOf(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

function rewrite(path: string): string | null {
  const decoded = path.includes('%') ? normaliseEscapes(path) : path
  // The scan stopped at the first thing to change, so what follows it has not been looked at yet.
  if (decoded === null || hasForbidden(decoded)) return null
  return decoded.includes('/.') ? removeDotSegments(decoded) : decoded
}

function normaliseEscapes(path: string): string | null {
  let text = ''
  let end = 0
  for (let index = path.indexOf('%'); index >= 0; index = path.indexOf('%', end)) {
    const escape = ESCAPES[octetAt(path, index)]
    if (escape === undefined || escape === '') return null
    text += path.slice(end, index) + escape
    end = index + 3
  }
  return text + path.slice(end)
}

function hasForbidden(path: string): boolean {
  for (let i = 0; i < path.length; i++) {
    const kind = CLASSES[path.charCodeAt(i)]
    if (kind === undefined || kind === FORBIDDEN) return true
  }
  return false
}

/** RFC 3986 section 5.2.4, of a path that starts with `/`. */
function removeDotSegments(path: string): string {
  const kept: string[] = []
  const segments = path.split('/')
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!
    if (segment !== '.' && segment !== '..') {
      kept.push(segment)
      continue
    }
    if (segment === '..') kept.pop()
    // A dot segment at the end leaves the slash before it.
    if (i === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}
