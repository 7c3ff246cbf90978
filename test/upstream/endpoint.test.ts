import t from 'tap'
import { parseEndpoint } from '../../src/upstream/endpoint.ts'

for (const { url, want } of [
  { url: 'http://a.example', want: { isTls: false, host: 'a.example', port: 80 } },
  { url: 'https://a.example', want: { isTls: true, host: 'a.example', port: 443 } },
  { url: 'http://[::1]:3000', want: { isTls: false, host: '::1', port: 3000 } },
]) {
  t.test(`endpoint ${url}`, async t => {
    t.match(parseEndpoint(url), { ...want, weight: 1 })
  })
}

