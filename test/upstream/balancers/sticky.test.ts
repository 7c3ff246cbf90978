import t from 'tap'
import type { Candidate } from '../../../src/upstream/balancer.ts'
import { Sticky, type StickyConfig } from '../../../src/upstream/balancers/sticky.ts'
import { Random } from '../../support/random.ts'
import { candidatesOf, noKey, requestWith } from './traffic.ts'

const make = (candidates: readonly Candidate[], config: Partial<StickyConfig> = {}): Sticky => {
  const random = new Random(4)
  return new Sticky({ cookie: 'sid', secret: 'a secret of the tests', maxAgeSeconds: null, ...config }, candidates, { random: () => random.next(), nowMs: () => 0 })
}
const valueIn = (cookie: string | null): string => /^sid=([^;]+)/.exec(cookie!)![1]!

t.test('keeps a client on its endpoint, whatever the load', async t => {
  const candidates = candidatesOf(1, 1, 1)
  const balancer = make(candidates)
  for (const { endpoint } of candidates) {
    const request = requestWith({ 'cookie:sid': valueIn(balancer.cookieFor(noKey, endpoint)) })
    endpoint.inFlight = 1000
    for (let i = 0; i < 20; i++) t.equal(balancer.pick(request, []), endpoint)
    t.equal(balancer.cookieFor(request, endpoint), null, 'the client has the cookie')
  }
})

t.test('all workers and nodes give the same cookie; another secret gives another', async t => {
  const [one, two] = [candidatesOf(1, 1), candidatesOf(1, 1, 1)]
  const cookie = make(one).cookieFor(noKey, one[1]!.endpoint)
  t.equal(make(two).cookieFor(noKey, two[1]!.endpoint), cookie)
  t.not(make(two, { secret: 'another secret, as long' }).cookieFor(noKey, two[1]!.endpoint), cookie)
})

t.test('chooses anew when the endpoint is gone, or was tried, and says so to the client', async t => {
  const candidates = candidatesOf(1, 1, 1)
  const [{ endpoint: home }] = candidates as [Candidate]
  const balancer = make(candidates)
  const request = requestWith({ 'cookie:sid': valueIn(balancer.cookieFor(noKey, home)) })

  const second = balancer.pick(request, [home])
  t.not(second, home)
  t.match(balancer.cookieFor(request, second), /^sid=/)

  const rest = make(candidates.slice(1))
  const chosen = rest.pick(request, [])
  t.not(chosen, home)
  t.not(valueIn(rest.cookieFor(request, chosen)), request.keyValue('cookie:sid'))
  t.equal(rest.cookieFor(noKey, home), null, 'no cookie for one that has gone while it answered')
})

for (const { desc, value } of [
  { desc: 'an address', value: 'http://10.0.0.2:80' },
  { desc: 'an index', value: '1' },
  { desc: 'nothing', value: '' },
  { desc: 'a value of the right length', value: 'AAAAAAAAAAAAAAAAAAAAAA' },
  { desc: 'a name of Object.prototype', value: '__proto__' },
]) {
  t.test(`a forged cookie is ignored: ${desc}`, async t => {
    const candidates = candidatesOf(1, 1)
    const balancer = make(candidates)
    const request = requestWith({ 'cookie:sid': value })
    const chosen = new Set(Array.from({ length: 60 }, () => balancer.pick(request, [])))
    t.equal(chosen.size, 2)
    t.match(balancer.cookieFor(request, candidates[1]!.endpoint), /^sid=[\w-]{22};/)
  })
}

for (const { desc, config, want } of [
  { desc: 'for the session', config: {}, want: /^sid=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax$/ },
  { desc: 'with a life', config: { maxAgeSeconds: 3600 }, want: /; Path=\/; HttpOnly; SameSite=Lax; Max-Age=3600$/ },
  { desc: 'with a name that browsers take only with Secure', config: { cookie: '__Host-sid' }, want: /^__Host-sid=[\w-]{22}; Path=\/; HttpOnly; SameSite=Lax; Secure$/ },
]) {
  t.test(`the cookie ${desc}`, async t => {
    const candidates = candidatesOf(1)
    t.match(make(candidates, config).cookieFor(noKey, candidates[0]!.endpoint), want)
  })
}

t.test('the cookie tells no address', async t => {
  const candidates = candidatesOf(1, 1)
  const values = candidates.map(({ endpoint }) => valueIn(make(candidates).cookieFor(noKey, endpoint)))
  t.equal(new Set(values).size, 2)
  for (const value of values) t.notMatch(Buffer.from(value, 'base64url').toString('latin1'), /10\.0\.0/)
})
