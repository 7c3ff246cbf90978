import t from 'tap'
import { compileKey } from '../../src/gateway/request-key.ts'
import { Headers } from '../../src/http/headers.ts'

type Of = { query?: string; headers?: readonly (readonly [string, string])[]; parameters?: Readonly<Record<string, string>> }

function requestOf({ query = '', headers = [], parameters = {} }: Of) {
  const lines = new Headers()
  for (const [name, value] of headers) lines.add(name, value)
  return {
    request: { host: 'api.example.com:8080', query, headers: lines },
    clientIp: '1.2.3.4',
    parameter: (name: string): string | undefined => parameters[name],
  }
}
const cookies = (...values: string[]): Of => ({ headers: values.map(value => ['cookie', value] as const) })

for (const { desc, key, of, want } of [
  { desc: 'the client', key: 'ip', of: {}, want: '1.2.3.4' },
  { desc: 'a header', key: 'header:x-tenant', of: { headers: [['x-tenant', 't1']] as const }, want: 't1' },
  { desc: 'a header in any case', key: 'header:X-Tenant', of: { headers: [['x-tenant', 't1']] as const }, want: 't1' },
  { desc: 'a header of several lines', key: 'header:x-a', of: { headers: [['x-a', '1'], ['x-a', '2']] as const }, want: '1, 2' },
  { desc: 'an empty header', key: 'header:x-a', of: { headers: [['x-a', '']] as const }, want: '' },
  { desc: 'no such header', key: 'header:x-a', of: {}, want: undefined },
  { desc: 'the host, which is no line of the head', key: 'header:Host', of: {}, want: 'api.example.com:8080' },
  { desc: 'a parameter, as it stands in the path', key: 'param:id', of: { parameters: { id: 'a%20b' } }, want: 'a%20b' },
  { desc: 'no such parameter', key: 'param:id', of: {}, want: undefined },

  { desc: 'a cookie', key: 'cookie:sid', of: cookies('a=1; sid=abc; b=2'), want: 'abc' },
  { desc: 'a cookie on its second line', key: 'cookie:sid', of: cookies('a=1', 'sid=abc'), want: 'abc' },
  { desc: 'the first of two cookies', key: 'cookie:sid', of: cookies('sid=1; sid=2'), want: '1' },
  { desc: 'a cookie without a space before it', key: 'cookie:b', of: cookies('a=1;b=2'), want: '2' },
  { desc: 'a cookie with spaces around it', key: 'cookie:b', of: cookies('a=1 ; b = 2 ;c=3'), want: '2' },
  { desc: 'a quoted cookie keeps its quotes', key: 'cookie:a', of: cookies('a="1"'), want: '"1"' },
  { desc: 'quotes hide no semicolon', key: 'cookie:b', of: cookies('a="1; b=2"'), want: '2"' },
  { desc: 'a cookie with = in its value', key: 'cookie:a', of: cookies('a=b=c=='), want: 'b=c==' },
  { desc: 'an empty cookie', key: 'cookie:a', of: cookies('a='), want: '' },
  { desc: 'a cookie name is case-sensitive', key: 'cookie:SID', of: cookies('sid=1'), want: undefined },
  { desc: 'the end of another name is no cookie', key: 'cookie:id', of: cookies('sid=1'), want: undefined },
  { desc: 'nor is its start', key: 'cookie:id', of: cookies('id2=1; id'), want: undefined },
  { desc: 'nor what has no =', key: 'cookie:b', of: cookies('b; c=1'), want: undefined },
  { desc: 'escapes in cookies mean nothing', key: 'cookie:a', of: cookies('a=%41%zz'), want: '%41%zz' },
  { desc: 'no cookies', key: 'cookie:a', of: {}, want: undefined },
  { desc: 'separators alone', key: 'cookie:a', of: cookies(';;; ;=;'), want: undefined },

  { desc: 'a query value', key: 'query:a', of: { query: 'b=1&a=2' }, want: '2' },
  { desc: 'the first of two query values', key: 'query:a', of: { query: 'a=1&a=2' }, want: '1' },
  { desc: 'a query value, decoded', key: 'query:a', of: { query: 'a=x%20y+z' }, want: 'x y z' },
  { desc: 'a query name, decoded', key: 'query:a b', of: { query: 'a%20b=1' }, want: '1' },
  { desc: 'a malformed escape stands for itself', key: 'query:a', of: { query: 'a=%zz%4' }, want: '%zz%4' },
  { desc: 'bytes that are not UTF-8 are replaced', key: 'query:a', of: { query: 'a=%ff' }, want: '\ufffd' },
  { desc: 'a query name without =', key: 'query:a', of: { query: 'b&a&c' }, want: '' },
  { desc: 'the start of another query name is none', key: 'query:a', of: { query: 'ab=1&ba=2' }, want: undefined },
  { desc: 'a second question mark is part of a name', key: 'query:a', of: { query: '?a=1' }, want: undefined },
  { desc: 'also beside escapes', key: 'query:a', of: { query: '?a=%31' }, want: undefined },
]) {
  t.test(`${key}: ${desc}`, async t => {
    t.equal(compileKey(key)(requestOf(of)), want)
  })
}

t.test('other keys are refused', async t => {
  for (const key of ['', 'body:x', 'header']) t.throws(() => compileKey(key), { message: `key '${key}' must be ip` })
})
