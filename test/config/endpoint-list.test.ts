import t from 'tap'
import { parseEndpointList } from '../../src/config/endpoint-list.ts'

for (const { desc, text, want } of [
  { desc: 'an empty list is a list', text: '[]', want: [] },
  { desc: 'a URL alone', text: '["http://10.0.0.1:3000"]', want: [{ url: 'http://10.0.0.1:3000', weight: 1, priority: 0, zone: null }] },
  { desc: 'all that an entry may have', text: '[{"url":"https://a.test","weight":2,"priority":9,"zone":"x"}]', want: [{ url: 'https://a.test', weight: 2, priority: 9, zone: 'x' }] },
  { desc: 'the URL in its usual form', text: '["HTTP://A.test:80/"]', want: [{ url: 'http://a.test', weight: 1, priority: 0, zone: null }] },
]) {
  t.test(`takes: ${desc}`, async t => {
    t.strictSame(parseEndpointList(text), { endpoints: want })
  })
}

for (const { desc, text, want } of [
  { desc: 'no JSON', text: '[', want: ['is not JSON: write a list as ["http://10.0.0.1:3000"]'] },
  { desc: 'no list', text: '{"endpoints":[]}', want: ['must be a list, not a mapping'] },
  { desc: 'null', text: 'null', want: ['must be a list, not null'] },
  { desc: 'more than 10,000 entries', text: JSON.stringify(Array(10_001).fill('http://a')), want: ['has 10001 entries: at most 10000 are taken'] },
  { desc: 'another type', text: '["http://a.test", 5]', want: ['/1: must be text or a mapping, not a number'] },
  { desc: 'every problem, each with its place', text: '[{"url":"http://a.test","weight":0},{"weight":1},{"url":"http://b.test","wieght":1},{"url":"http://c.test","priority":10}]', want: [
    '/0/weight: must be at least 1',
    '/1/url: \'url\' is missing: add it (text)',
    '/2/wieght: unknown key \'wieght\'; did you mean \'weight\'?',
    '/3/priority: must be at most 9',
  ] },
  { desc: 'a path', text: '["http://a.test/users"]', want: ['/0: holds a path: remove it; a route can set request.path'] },
  { desc: 'credentials, which are not quoted', text: '[{"url":"http://user:s3cret@a.test"}]', want: ['/0/url: holds credentials: remove them; a route can set a header'] },
  { desc: 'a URL twice, in another form', text: '["http://a.test", "http://b.test", {"url":"http://A.test:80"}]', want: ['/2/url: is the endpoint of /0 already: keep one'] },
]) {
  t.test(`refuses: ${desc}`, async t => {
    t.strictSame(parseEndpointList(text), { problems: want })
  })
}

t.test('takes 10,000 entries', async t => {
  const list = parseEndpointList(JSON.stringify(Array.from({ length: 10_000 }, (_, index) => `http://10.0.${index >> 8}.${index & 255}`)))
  t.ok('endpoints' in list && list.endpoints.length === 10_000)
})
