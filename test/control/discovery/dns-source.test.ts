import { Resolver } from 'node:dns/promises'
import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { createSource, type DiscoveryConfig } from '../../../src/control/discovery/create-source.ts'
import { HostAddresses } from '../../../src/control/discovery/host-addresses.ts'
import { DnsServer } from '../../support/dns-server.ts'
import { RecordedEvents, until } from '../../support/discovery-events.ts'

const config = (overrides: Partial<DiscoveryConfig>): DiscoveryConfig => ({ scheme: 'http', resolver: null, intervalMs: 100, timeoutMs: 5000, ...overrides })

async function setUp(t: Test, overrides: Partial<DiscoveryConfig> = {}) {
  const server = await DnsServer.start()
  const events = new RecordedEvents()
  const source = createSource(config({ dns: 'http://users.test:3000', resolver: server.address, ...overrides }), events)
  t.teardown(async () => {
    source.stop()
    await server.stop()
  })
  return { server, events, source }
}

t.test('addresses of both families come and go', async t => {
  const { server, events, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.2', '10.0.0.1'], aaaa: ['2001:db8::1'] })
  source.start()
  await events.reach(1)
  t.strictSame(events.all[0], [
    { url: 'http://10.0.0.1:3000', weight: 1, priority: 0, zone: null, name: 'users.test' },
    { url: 'http://10.0.0.2:3000', weight: 1, priority: 0, zone: null, name: 'users.test' },
    { url: 'http://[2001:db8::1]:3000', weight: 1, priority: 0, zone: null, name: 'users.test' },
  ])
  server.set('users.test', { a: ['10.0.0.2', '10.0.0.3'] })
  await events.reach(2)
  t.strictSame(events.sets[1], ['http://10.0.0.2:3000', 'http://10.0.0.3:3000'])
})

t.test('the same addresses in another order are no event', async t => {
  const { server, events, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1', '10.0.0.2'] })
  await source.refresh()
  server.set('users.test', { a: ['10.0.0.2', '10.0.0.1', '10.0.0.2'] })
  await source.refresh()
  t.equal(events.all.length, 1)
})

for (const { desc, records, want } of [
  { desc: 'only AAAA', records: { aaaa: ['2001:db8::1'] }, want: ['http://[2001:db8::1]:3000'] },
  { desc: 'AAAA fails', records: { a: ['10.0.0.1'], aaaa: 'servfail' as const }, want: ['http://10.0.0.1:3000'] },
  { desc: 'AAAA is never answered', records: { a: ['10.0.0.1'], aaaa: 'silence' as const }, want: ['http://10.0.0.1:3000'] },
]) {
  t.test(`one family is enough: ${desc}`, async t => {
    const { server, events, source } = await setUp(t, { timeoutMs: 1000 })
    server.set('users.test', records)
    await source.refresh()
    t.strictSame(events.sets, [want])
    t.strictSame(events.failures, [])
  })
}

t.test('a family that fails keeps what it had, and that is told', async t => {
  const { server, events, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1'], aaaa: ['2001:db8::1'] })
  await source.refresh()
  server.set('users.test', { a: ['10.0.0.1'], aaaa: 'servfail' })
  await source.refresh()
  await source.refresh()
  t.equal(events.sets.length, 1)
  t.strictSame(events.failures, ['\'users.test\' was not resolved: the name server failed (ESERVFAIL)'])
  server.set('users.test', { a: ['10.0.0.2'], aaaa: 'servfail' })
  await source.refresh()
  t.strictSame(events.sets[1], ['http://10.0.0.2:3000', 'http://[2001:db8::1]:3000'])
  server.set('users.test', { a: ['10.0.0.2'] })
  await source.refresh()
  t.strictSame(events.sets[2], ['http://10.0.0.2:3000'], 'no records is an answer')
})

for (const { desc, records, problem } of [
  { desc: 'a name that does not exist', records: null, problem: '\'users.test\' was not resolved: the name does not exist' },
  { desc: 'a name without addresses', records: {}, problem: '\'users.test\' was not resolved: the name has no such records' },
  { desc: 'a server that fails', records: { a: 'servfail' as const }, problem: '\'users.test\' was not resolved: the name server failed (ESERVFAIL)' },
]) {
  t.test(`${desc} is a failure, told once`, async t => {
    const { server, events, source } = await setUp(t)
    if (records !== null) server.set('users.test', records)
    for (let i = 0; i < 3; i++) await source.refresh()
    t.strictSame(events.all, [problem])
  })
}

t.test('the TTL is respected: no question before its end, one after', async t => {
  const { server, events, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1'], ttlSeconds: 1 })
  const startMs = performance.now()
  source.start()
  await events.reach(1)
  server.set('users.test', { a: ['10.0.0.2'], ttlSeconds: 3600 })
  await events.reach(2)
  t.ok(performance.now() - startMs >= 990, 'not by intervalMs')
  const asked = server.queries.length
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(server.queries.length, asked, 'the new TTL holds')
})

t.test('a TTL of 0 is intervalMs', async t => {
  const { server, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1'], ttlSeconds: 0 })
  const startMs = performance.now()
  source.start()
  await until(() => server.queries.length >= 6)
  t.ok(performance.now() - startMs >= 195, 'two pauses for three look-ups')
})

t.test('a resolver that is gone is told once, endpoints stay, and it recovers', async t => {
  const first = await DnsServer.start()
  const { port, address } = first
  first.set('users.test', { a: ['10.0.0.1'] })
  const events = new RecordedEvents()
  const source = createSource(config({ dns: 'http://users.test:3000', resolver: address }), events)
  t.teardown(() => source.stop())
  source.start()
  await events.reach(1)
  await first.stop()
  await events.reach(2)
  t.strictSame(events.failures, ['\'users.test\' was not resolved: the name server can\'t be reached'])
  await source.refresh()
  await source.refresh()
  t.equal(events.all.length, 2, 'quiet while it lasts')

  const second = await DnsServer.start(port)
  t.teardown(() => second.stop())
  second.set('users.test', { a: ['10.0.0.1'] })
  await until(() => second.queries.length >= 4)
  t.equal(events.all.length, 2, 'the same endpoints are no news')
  second.set('users.test', { a: ['10.0.0.2'] })
  await events.reach(3)
  t.strictSame(events.sets[1], ['http://10.0.0.2:3000'])
  second.remove('users.test')
  await events.reach(4)
  t.equal(events.failures.length, 2, 'it works in between, so the next failure is news')
})

t.test('a silent resolver is a failure within timeoutMs', async t => {
  const { server, events, source } = await setUp(t, { timeoutMs: 800 })
  server.isSilent = true
  await source.refresh()
  await source.refresh()
  t.strictSame(events.all, ['\'users.test\' was not resolved: the name server did not answer in time'])
  server.isSilent = false
  server.set('users.test', { a: ['10.0.0.1'] })
  await source.refresh()
  t.strictSame(events.sets, [['http://10.0.0.1:3000']])
})

t.test('no event and no question after stop', async t => {
  const { server, events, source } = await setUp(t)
  server.isSilent = true
  server.set('users.test', { a: ['10.0.0.1'] })
  source.start()
  await until(() => server.queries.length >= 2)
  const underWay = source.refresh()
  source.stop()
  await underWay
  const asked = server.queries.length
  server.isSilent = false
  await source.refresh()
  source.start()
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(server.queries.length, asked)
  t.strictSame(events.all, [])
})

t.test('look-ups don\'t overlap: a refresh joins the one under way', async t => {
  const { server, events, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1'], ttlSeconds: 60 })
  source.start()
  await Promise.all([source.refresh(), source.refresh()])
  t.strictSame(server.queries.toSorted(), ['a users.test', 'aaaa users.test'])
  t.equal(events.all.length, 1)
})

for (const { desc, dns, want } of [
  { desc: 'an address is itself', dns: 'http://10.1.2.3:3000', want: [{ url: 'http://10.1.2.3:3000', name: null }] },
  { desc: 'an IPv6 address is itself', dns: 'https://[2001:DB8::1]', want: [{ url: 'https://[2001:db8::1]', name: null }] },
  { desc: 'the port of the scheme is left out', dns: 'https://users.test:443', want: [{ url: 'https://10.0.0.1', name: 'users.test' }] },
  { desc: 'the dot at the end is no part of the name', dns: 'https://Users.test.:8443', want: [{ url: 'https://10.0.0.1:8443', name: 'users.test' }] },
]) {
  t.test(desc, async t => {
    const { server, events, source } = await setUp(t, { dns })
    server.set('users.test', { a: ['10.0.0.1'] })
    await source.refresh()
    t.strictSame(events.all, [want.map(endpoint => ({ ...endpoint, weight: 1, priority: 0, zone: null }))])
  })
}

t.test('without a resolver localhost is what the system says', async t => {
  const events = new RecordedEvents()
  const source = createSource(config({ dns: 'http://localhost:3000' }), events)
  await source.refresh()
  t.ok(events.sets[0]?.some(url => url === 'http://127.0.0.1:3000' || url === 'http://[::1]:3000'))
})

t.test('a name that only /etc/hosts knows is found, where the system may be asked', async t => {
  const entry = readFileSync('/etc/hosts', 'utf8').split('\n').map(line => line.replace(/#.*/, '').trim().split(/\s+/))
    .find(([address = '', name = 'localhost']) => address.includes('.') && !name.includes('localhost'))
  if (entry === undefined) return t.pass('this machine has none')
  const [address, name] = entry
  const server = await DnsServer.start()
  t.teardown(() => server.stop())
  const resolver = new Resolver()
  resolver.setServers([server.address])
  const { signal } = new AbortController()
  t.match(await new HostAddresses(name!, { intervalMs: 100, usesSystem: true }).look(resolver, signal), { addresses: [address], ttlMs: 100, problem: null })
  await t.rejects(new HostAddresses(name!, { intervalMs: 100, usesSystem: false }).look(resolver, signal), { message: /the name does not exist$/ })
})

t.test('the timers of a source don\'t keep the process', async t => {
  const { server, source } = await setUp(t)
  server.set('users.test', { a: ['10.0.0.1'], ttlSeconds: 60 })
  const timers = (): number => process.getActiveResourcesInfo().filter(resource => resource === 'Timeout').length
  const before = timers()
  source.start()
  await source.refresh()
  t.ok(timers() <= before)
})

t.test('a name server may be given by name', async t => {
  const { server, events, source } = await setUp(t)
  source.stop()
  server.set('users.test', { a: ['10.0.0.1'] })
  const named = createSource(config({ dns: 'http://users.test:3000', resolver: `localhost:${server.port}` }), events)
  await named.refresh()
  t.strictSame(events.sets, [['http://10.0.0.1:3000']])
})

t.test('what the checks of a document refuse is an error', async t => {
  t.throws(() => createSource(config({}), new RecordedEvents()), { message: 'discovery: one of dns, srv, file and url is needed' })
  t.throws(() => createSource(config({ dns: 'http://users.test', resolver: '10.0.0.1' }), new RecordedEvents()), { message: /^resolver '10.0.0.1'/ })
})
