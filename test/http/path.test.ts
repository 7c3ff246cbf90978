import fc from 'fast-check'
import t from 'tap'
import { normalisePath } from '../../src/http/path.ts'

for (const { desc, path, want } of [
  { desc: 'leaves a plain path', path: '/a/b-c_d~e.f', want: '/a/b-c_d~e.f' },
  { desc: 'leaves the root', path: '/', want: '/' },
  { desc: 'keeps sub-delimiters, colon and at', path: "/a:b@c!$&'()*+,;=", want: "/a:b@c!$&'()*+,;=" },
  { desc: 'keeps what nginx lets pass', path: '/"<>^`{|}', want: '/"<>^`{|}' },
  { desc: 'keeps doubled slashes', path: '//a///b//', want: '//a///b//' },
  { desc: 'raises hexadecimal digits', path: '/%c3%a9%2f', want: '/%C3%A9%2F' },
  { desc: 'leaves escapes in normal form', path: '/%C3%A9%2F%20', want: '/%C3%A9%2F%20' },
  { desc: 'decodes unreserved characters', path: '/%41%7a%30%2D%2e%5F%7E', want: '/Az0-._~' },
  { desc: 'decodes once only', path: '/%2541%252e', want: '/%2541%252e' },
  { desc: 'keeps an escaped slash apart from a slash', path: '/a%2fb', want: '/a%2Fb' },
  { desc: 'keeps an escaped backslash', path: '/a%5cb', want: '/a%5Cb' },
  { desc: 'removes a single dot', path: '/a/./b', want: '/a/b' },
  { desc: 'removes two dots and what is before them', path: '/a/b/../c', want: '/a/c' },
  { desc: 'leaves a slash behind a last dot', path: '/a/.', want: '/a/' },
  { desc: 'leaves a slash behind two last dots', path: '/a/b/..', want: '/a/' },
  { desc: 'stays at the root', path: '/../../a', want: '/a' },
  { desc: 'has the root for nothing left', path: '/a/..', want: '/' },
  { desc: 'removes escaped dot segments', path: '/a/%2e%2E/b/%2e/.%2e/c', want: '/c' },
  { desc: 'removes an empty segment by two dots', path: '/a//../b', want: '/a/b' },
  { desc: 'can begin with two slashes after removal', path: '/.//a', want: '//a' },
  { desc: 'leaves names that begin with dots', path: '/.well-known/...a/..b/.../a.', want: '/.well-known/...a/..b/.../a.' },
  { desc: 'leaves dots behind an escaped slash, which is no separator', path: '/a%2F../b', want: '/a%2F../b' },
  { desc: 'refuses a path without its slash', path: 'a/b', want: null },
  { desc: 'refuses nothing', path: '', want: null },
  { desc: 'refuses the asterisk', path: '*', want: null },
  { desc: 'refuses a bare percent', path: '/a%', want: null },
  { desc: 'refuses an escape cut off', path: '/a%4', want: null },
  { desc: 'refuses an escape that is not hexadecimal', path: '/%4g', want: null },
  { desc: 'refuses an escape made by decoding', path: '/%%34%31', want: null },
  { desc: 'refuses a malformed escape behind a change', path: '/%41/%zz', want: null },
  { desc: 'refuses an escaped NUL', path: '/a%00', want: null },
  { desc: 'refuses an escaped NUL behind a change', path: '/%41%00', want: null },
  { desc: 'refuses a space', path: '/a b', want: null },
  { desc: 'refuses a backslash', path: '/a\\..\\b', want: null },
  { desc: 'refuses a backslash behind a change', path: '/./a\\b', want: null },
  { desc: 'refuses a fragment', path: '/a#b', want: null },
  { desc: 'refuses a question mark', path: '/a?b', want: null },
  { desc: 'refuses a tab', path: '/a\tb', want: null },
  { desc: 'refuses a line end', path: '/a\r\nb', want: null },
  { desc: 'refuses DEL', path: '/a\x7f', want: null },
  { desc: 'refuses what is not ASCII', path: '/é', want: null },
  { desc: 'refuses what is not ASCII behind a change', path: '/a/../\ufffd', want: null },
]) {
  t.test(desc, async t => t.equal(normalisePath(path), want))
}

/** Parts that meet at every border the scan has: dots, escapes of dots and slashes, and malformed ones. */
const piece = fc.constantFrom('/', '//', '.', '..', '%2e', '%2E', '%2f', '%2F', '%41', '%c3', '%', '%4', '%25', 'a', 'B', '~', '\\', '{', ' ')
const anyPath = fc.oneof(
  fc.array(piece, { maxLength: 12 }).map(pieces => `/${pieces.join('')}`),
  fc.string({ unit: 'binary', maxLength: 20 }).map(text => `/${text}`),
  fc.webPath(),
)
const settings = { seed: 20_240, numRuns: 20_000 }

t.test('is idempotent and never throws', async t => {
  fc.assert(fc.property(anyPath, path => {
    const once = normalisePath(path)
    return once === null || normalisePath(once) === once
  }), settings)
  t.pass('held')
})

t.test('leaves nothing that a reader could take for a dot segment or another character', async t => {
  fc.assert(fc.property(anyPath, path => {
    const normal = normalisePath(path)
    return normal === null || (
      normal.startsWith('/')
      && !normal.split('/').some(segment => segment === '.' || segment === '..')
      && /^(?:[\x21\x22\x24\x26-\x3e\x40-\x5b\x5d-\x7e]|%[0-9A-F]{2})*$/.test(normal)
      && !/%(?:2D|2E|5F|7E|3\d|4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A])/.test(normal)
    )
  }), settings)
  t.pass('held')
})

t.test('removes dot segments as RFC 3986 section 5.2.4 spells it out', async t => {
  fc.assert(fc.property(fc.array(fc.constantFrom('/', '.', '..', '%2e', 'a', 'b', '//'), { maxLength: 12 }), pieces => {
    const path = `/${pieces.join('')}`
    return normalisePath(path) === removeDotSegments(path.replaceAll('%2e', '.'))
  }), settings)
  t.pass('held')
})

/** The algorithm of the RFC, step by step. (Node 20's URL leaves the last dot of `//.a/.`, so it is no reference.) */
function removeDotSegments(path: string): string {
  let input = path
  let output = ''
  while (input !== '') {
    if (input.startsWith('/./')) input = input.slice(2)
    else if (input === '/.') input = '/'
    else if (input.startsWith('/../') || input === '/..') {
      input = `/${input.slice(4)}`
      output = output.slice(0, Math.max(0, output.lastIndexOf('/')))
    } else {
      const end = input.indexOf('/', 1)
      output += end < 0 ? input : input.slice(0, end)
      input = end < 0 ? '' : input.slice(end)
    }
  }
  return output
}
