import t from 'tap'
import { Failure } from '../../src/base/failure.ts'
import { limits as limitsSchema } from '../../src/config/schema-limits.ts'
import type { RouteConfig } from '../../src/config/schema.ts'
import { problemOf } from '../../src/gateway/respond.ts'
import { Headers } from '../../src/http/headers.ts'
import { ConcurrencyTable } from '../../src/limits/concurrency-table.ts'
import { LimitService } from '../../src/limits/limit-service.ts'
import { LimitTable } from '../../src/limits/limit-table.ts'
import { compileLimitKey, ipv6Prefix } from '../../src/policies/limit-key.ts'
import { limits } from '../../src/policies/limits.ts'
import { maxConcurrent } from '../../src/policies/max-concurrent.ts'
import type { Identity, PolicyDeps, PolicyExchange } from '../../src/policies/policy.ts'
import { ManualClock } from '../support/manual-clock.ts'

type Asked = { clientIp?: string; headers?: Readonly<Record<string, string>>; identity?: Identity | null }

function exchangeOf({ clientIp = '1.2.3.4', headers: lines = {}, identity = null }: Asked = {}) {
  const headers = new Headers()
  for (const [name, value] of Object.entries(lines)) headers.add(name, value)
  const told: Record<string, string> = {}
  const finishers: (() => void)[] = []
  const exchange: PolicyExchange = {
    identity, isTls: false,
    addResponseHeader: (name, value) => { told[name] = value },
    whenFinished: run => { finishers.push(run) },
    request: { method: 'GET', path: '/', query: '', host: 'a.example', headers, contentLength: null, isChunked: false, hasForwarding: false },
    routeId: 'r', requestId: 'id', clientIp, upstreamPath: '/', parameter: () => undefined,
  }
  return { exchange, told, finish: () => { for (const run of finishers.splice(0)) run() } }
}

const identityOf = (subject: string, consumer: string | null = null, authenticator = 'jwt'): Identity =>
  ({ authenticator, subject, consumer: consumer === null ? null : { id: consumer, plan: null, groups: [] }, scopes: [], claims: null })

function depsOf(isStoreAway = false) {
  const clock = new ManualClock()
  const shadowDenials: string[] = []
  const service = new LimitService({
    table: new LimitTable(LimitTable.allocate(64, clock), clock), concurrency: new ConcurrencyTable(ConcurrencyTable.allocate(64)),
    authority: isStoreAway ? { grant: async () => { throw new Error('away') } } : null,
    onShadowDenial: (routeId, name) => shadowDenials.push(`${routeId}/${name}`),
  })
  const deps: PolicyDeps = { nowMs: () => clock.nowMs(), limits: service, auth: { authenticators: new Map(), identityHeaders: [] } }
  return { clock, deps, shadowDenials }
}

const routeOf = (configs: unknown[], id = 'r'): RouteConfig => ({ id, limits: limitsSchema.parse(configs) }) as unknown as RouteConfig

function policyOf(configs: unknown[]) {
  const parts = depsOf()
  const policy = limits.create(routeOf(configs), parts.deps)!
  return { ...parts, ask: (asked: Asked = {}) => { const made = exchangeOf(asked); return { verdict: policy.onRequest!(made.exchange), told: made.told } } }
}

t.test('a route without limits has no policy', async t => {
  const { deps } = depsOf()
  t.equal(limits.create({ id: 'r' } as RouteConfig, deps), null)
  t.equal(maxConcurrent.create({ id: 'r' } as RouteConfig, deps), null)
})

t.test('tells on admitted and denied requests what is left', async t => {
  const { clock, ask } = policyOf([{ requestsPerSecond: 0.5, burstRequests: 2 }])
  t.strictSame(ask(), { verdict: null, told: { 'ratelimit-policy': '"default";q=2;w=4', ratelimit: '"default";r=1;t=2' } })
  t.strictSame(ask().told.ratelimit, '"default";r=0;t=4')
  clock.advance(500)
  const { verdict, told } = ask()
  t.match(verdict, { code: 'GW_RATE_LIMITED', status: 429, retryAfterMs: 1500 })
  t.equal(told.ratelimit, '"default";r=0;t=2')
  const { head } = problemOf(verdict as Failure, 'id', null)
  t.equal((head.lines as Headers).get('retry-after'), '2')
  t.equal((head.lines as Headers).get('content-type'), 'application/problem+json')
  clock.advance(2000)
  t.equal(ask().verdict, null, 'who waits as long as told is admitted')
})

t.test('several limits are told in their order, those in shadow not', async t => {
  const { ask, shadowDenials } = policyOf([
    { name: 'second', requestsPerSecond: 10, burstRequests: 5 }, { name: 'quiet', requestsPerSecond: 1, burstRequests: 1, shadow: true },
    { name: 'hour', requestsPerSecond: 1, burstRequests: 100, cost: 40 },
  ])
  t.strictSame(ask(), { verdict: null, told: { 'ratelimit-policy': '"second";q=10;w=1, "hour";q=100;w=100', ratelimit: '"second";r=4;t=1, "hour";r=60;t=40' } })
  ask()
  t.strictSame(shadowDenials, ['r/quiet'])
  const { verdict, told } = ask()
  t.match(verdict, { code: 'GW_RATE_LIMITED', cause: 'limit "hour"' })
  t.equal(told.ratelimit, '"second";r=3;t=1, "hour";r=0;t=20')
  t.strictSame(policyOf([{ requestsPerSecond: 1, burstRequests: 1, shadow: true }]).ask().told, {}, 'nothing to tell')
})

t.test('limits of two routes, and a changed limit, are buckets of their own; an unchanged one goes on', async t => {
  const { deps } = depsOf()
  const config = { requestsPerSecond: 1, burstRequests: 1 }
  const isAdmitted = (route: RouteConfig): boolean => limits.create(route, deps)!.onRequest!(exchangeOf().exchange) === null
  t.ok(isAdmitted(routeOf([config])))
  t.notOk(isAdmitted(routeOf([config])), 'a reload')
  t.notOk(isAdmitted(routeOf([{ ...config, onStoreFailure: 'allow' }])), 'what changed is not the bucket')
  t.ok(isAdmitted(routeOf([config], 'other')))
  t.ok(isAdmitted(routeOf([{ ...config, burstRequests: 2 }])))
})

t.test('when the store is away', async t => {
  for (const [onStoreFailure, want] of [['deny', 'GW_STORE_UNAVAILABLE'], ['local', null], ['allow', null]] as const) {
    const { deps } = depsOf(true)
    const policy = limits.create(routeOf([{ requestsPerSecond: 1, burstRequests: 10, onStoreFailure, maxNodes: 1 }]), deps)!
    const { exchange, told } = exchangeOf()
    const verdict = await policy.onRequest!(exchange)
    t.equal(verdict instanceof Failure ? verdict.code : verdict, want, onStoreFailure)
    t.equal(told.ratelimit, onStoreFailure === 'local' ? '"default";r=9;t=1' : undefined)
    if (verdict instanceof Failure) t.equal(verdict.status, 503)
  }
})

for (const { desc, key, one, other, isSame } of [
  { desc: 'a consumer, whatever it uses to identify itself', key: 'consumer', one: { identity: identityOf('a', 'acme') }, other: { identity: identityOf('b', 'acme', 'keys'), clientIp: '5.6.7.8' }, isSame: true },
  { desc: 'two consumers', key: 'consumer', one: { identity: identityOf('a', 'acme') }, other: { identity: identityOf('a', 'bee') }, isSame: false },
  { desc: 'a subject that is named like a consumer', key: 'consumer', one: { identity: identityOf('x', 'acme') }, other: { identity: identityOf('acme') }, isSame: false },
  { desc: 'the same subject of two authenticators', key: 'consumer', one: { identity: identityOf('a', null, 'one') }, other: { identity: identityOf('a', null, 'two') }, isSame: false },
  { desc: 'nobody, at two addresses', key: 'consumer', one: {}, other: { clientIp: '5.6.7.8' }, isSame: false },
  { desc: 'nobody, at one address', key: 'consumer', one: {}, other: {}, isSame: true },
  { desc: 'two addresses', key: 'ip', one: {}, other: { clientIp: '1.2.3.5' }, isSame: false },
  { desc: 'two addresses of one /64', key: 'ip', one: { clientIp: '2001:db8:1:2::1' }, other: { clientIp: '2001:db8:1:2:ffff::9' }, isSame: true },
  { desc: 'two addresses of two /64', key: 'ip', one: { clientIp: '2001:db8:1:2::1' }, other: { clientIp: '2001:db8:1:3::1' }, isSame: false },
  { desc: 'all on the route', key: 'route', one: { identity: identityOf('a') }, other: { clientIp: '5.6.7.8' }, isSame: true },
  { desc: 'a header', key: 'header:X-Tenant', one: { headers: { 'x-tenant': 't' } }, other: { headers: { 'x-tenant': 't' }, clientIp: '5.6.7.8' }, isSame: true },
  { desc: 'an empty header and none', key: 'header:x-tenant', one: { headers: { 'x-tenant': '' } }, other: {}, isSame: false },
  { desc: 'no header, at two addresses', key: 'header:x-tenant', one: {}, other: { clientIp: '5.6.7.8' }, isSame: false },
  { desc: 'a header that is written like an address', key: 'header:x-tenant', one: {}, other: { headers: { 'x-tenant': '1.2.3.4' }, clientIp: '9.9.9.9' }, isSame: false },
]) {
  t.test(`counts together: ${desc}`, async t => {
    const keyOf = compileLimitKey(key, 64)
    t.equal(keyOf(exchangeOf(one).exchange) === keyOf(exchangeOf(other).exchange), isSame)
  })
}

for (const [address, bits, want] of [
  ['2001:db8::1', 64, '2001:db8:0:0:0:0:0:0'], ['2001:DB8:0:0::1', 64, '2001:db8:0:0:0:0:0:0'], ['2001:db8:0:1f:1::', 56, '2001:db8:0:0:0:0:0:0'],
  ['2001:db8:ffff::', 33, '2001:db8:8000:0:0:0:0:0'], ['::1', 128, '0:0:0:0:0:0:0:1'], ['::', 64, '0:0:0:0:0:0:0:0'], ['fe80::1%eth0', 128, 'fe80:0:0:0:0:0:0:1'],
  ['::ffff:1.2.3.4', 64, '1.2.3.4'], ['::ffff:102:304', 64, '1.2.3.4'], ['64:ff9b::1.2.3.4', 128, '64:ff9b:0:0:0:0:102:304'], ['1.2.3.4', 64, '1.2.3.4'], ['no:address', 64, 'no:address'],
] as const) t.test(`${address}/${bits}`, async t => { t.equal(ipv6Prefix(address, bits), want) })

t.test('as many requests of a key are under way as allowed, and an end makes room, once', async t => {
  const { deps } = depsOf()
  const policyFor = (requests: number) => maxConcurrent.create({ id: 'r', maxConcurrent: { requests, key: 'consumer', ipv6PrefixBits: 64 } } as RouteConfig, deps)!
  const policy = policyFor(2)
  const ask = (asked?: Asked, by = policy) => { const made = exchangeOf(asked); return { verdict: by.onRequest!(made.exchange), finish: made.finish } }
  const first = ask()
  t.equal(first.verdict, null)
  t.equal(ask().verdict, null)
  const denied = ask()
  t.match(denied.verdict, { code: 'GW_CONCURRENCY_LIMITED', status: 429 })
  denied.finish()
  t.match(ask().verdict, { code: 'GW_CONCURRENCY_LIMITED' }, 'the end of a denied one makes no room')
  t.equal(ask({ clientIp: '5.6.7.8' }).verdict, null, 'another key')
  first.finish()
  t.equal(ask().verdict, null)
  t.match(ask({}, policyFor(2)).verdict, { code: 'GW_CONCURRENCY_LIMITED' }, 'a reload goes on with what is under way')
  t.equal(ask({}, policyFor(3)).verdict, null)
})
