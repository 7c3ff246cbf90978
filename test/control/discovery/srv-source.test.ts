import t, { type Test } from 'tap'
import { createSource, type DiscoveryConfig } from '../../../src/control/discovery/create-source.ts'
import type { FoundEndpoint } from '../../../src/control/discovery/lookup-loop.ts'
import { DnsServer } from '../../support/dns-server.ts'
import { RecordedEvents, until } from '../../support/discovery-events.ts'

const SERVICE = '_http._tcp.users.test'

async function setUp(t: Test, overrides: Partial<DiscoveryConfig> = {}) {
  const server = await DnsServer.start()
  const events = new RecordedEvents()
  const source = createSource({ srv: SERVICE, scheme: 'http', resolver: server.address, intervalMs: 100, timeoutMs: 5000, ...overrides }, events)
  t.teardown(async () => {
    source.stop()
    await server.stop()
  })
  return { server, events, source }
}

t.test('targets become endpoints, with scheme, port, name, group and weight', async t => {
  const { server, events, source } = await setUp(t, { scheme: 'https' })
  server.set(SERVICE, { srv: [
    { target: 'b.test', port: 8443, priority: 20, weight: 5000 },
    { target: 'a.test', port: 443, priority: 10, weight: 0 },
    { target: 'c.test', port: 8444, priority: 20, weight: 7 },
  ] })
  server.set('a.test', { a: ['10.0.0.1'], aaaa: ['2001:db8::1'] })
  server.set('b.test', { a: ['10.0.0.2'] })
  server.set('c.test', { a: ['10.0.0.3'] })
  await source.refresh()
  t.strictSame(events.all, [[
    { url: 'https://10.0.0.1', weight: 1, priority: 0, zone: null, name: 'a.test' },
    { url: 'https://[2001:db8::1]', weight: 1, priority: 0, zone: null, name: 'a.test' },
    { url: 'https://10.0.0.2:8443', weight: 1000, priority: 1, zone: null, name: 'b.test' },
    { url: 'https://10.0.0.3:8444', weight: 7, priority: 1, zone: null, name: 'c.test' },
  ]])
})

t.test('priorities are ranked; what is beyond the tenth group is in the tenth', async t => {
  const { server, events, source } = await setUp(t)
  const numbers = Array.from({ length: 12 }, (_, index) => index)
  server.set(SERVICE, { srv: numbers.map(index => ({ target: 'a.test', port: 3000 + index, priority: 5 + index * 100 })) })
  server.set('a.test', { a: ['10.0.0.1'] })
  await source.refresh()
  t.strictSame((events.all[0] as readonly FoundEndpoint[]).map(({ priority }) => priority), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9])
})

t.test('an address and port that stands twice counts once, in its first group', async t => {
  const { server, events, source } = await setUp(t)
  server.set(SERVICE, { srv: [{ target: 'b.test', port: 3000, priority: 2 }, { target: 'a.test', port: 3000, priority: 1 }] })
  server.set('a.test', { a: ['10.0.0.1'] })
  server.set('b.test', { a: ['10.0.0.1'] })
  await source.refresh()
  t.strictSame(events.all, [[{ url: 'http://10.0.0.1:3000', weight: 1, priority: 0, zone: null, name: 'a.test' }]])
})

t.test('the target . says that there is no service', async t => {
  const { server, events, source } = await setUp(t)
  server.set(SERVICE, { srv: [{ target: 'a.test', port: 3000 }] })
  server.set('a.test', { a: ['10.0.0.1'] })
  source.start()
  await events.reach(1)
  server.set(SERVICE, { srv: [{ target: '.', port: 0 }] })
  await events.reach(2)
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], []])
})

t.test('targets and their addresses come and go', async t => {
  const { server, events, source } = await setUp(t)
  server.set(SERVICE, { srv: [{ target: 'a.test', port: 3000 }] })
  server.set('a.test', { a: ['10.0.0.1'] })
  server.set('b.test', { a: ['10.0.0.2'] })
  source.start()
  await events.reach(1)
  server.set(SERVICE, { srv: [{ target: 'a.test', port: 3000 }, { target: 'b.test', port: 3000 }] })
  await events.reach(2)
  server.set('a.test', { a: ['10.0.0.3'] })
  await events.reach(3)
  server.set(SERVICE, { srv: [{ target: 'b.test', port: 3000 }] })
  await events.reach(4)
  t.strictSame(events.sets, [
    ['http://10.0.0.1:3000'],
    ['http://10.0.0.1:3000', 'http://10.0.0.2:3000'],
    ['http://10.0.0.2:3000', 'http://10.0.0.3:3000'],
    ['http://10.0.0.2:3000'],
  ])
})

t.test('a target is asked by its own TTL, the records by intervalMs', async t => {
  const { server, source } = await setUp(t)
  server.set(SERVICE, { srv: [{ target: 'a.test', port: 3000 }], ttlSeconds: 3600 })
  server.set('a.test', { a: ['10.0.0.1'], ttlSeconds: 3600 })
  source.start()
  await until(() => server.queries.filter(query => query.startsWith('srv')).length >= 4)
  t.strictSame(server.queries.filter(query => query.endsWith(' a.test')).toSorted(), ['a a.test', 'aaaa a.test'])
})

t.test('a target that can\'t be resolved is left out, or keeps what it had; that is told once', async t => {
  const { server, events, source } = await setUp(t)
  server.set(SERVICE, { srv: [{ target: 'a.test', port: 3000 }, { target: 'b.test', port: 3000 }] })
  server.set('a.test', { a: ['10.0.0.1'] })
  source.start()
  await events.reach(2)
  t.strictSame(events.all.slice(1), ['\'b.test\' was not resolved: the name does not exist'])
  server.set('b.test', { a: ['10.0.0.2'] })
  await events.reach(3)
  server.remove('a.test')
  await events.reach(4)
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], ['http://10.0.0.1:3000', 'http://10.0.0.2:3000']])
  t.equal(events.failures[1], '\'a.test\' was not resolved: the name does not exist')
})

for (const { desc, records, problem } of [
  { desc: 'a service that does not exist', records: null, problem: `'${SERVICE}' was not resolved: the name does not exist` },
  { desc: 'a name without SRV records', records: {}, problem: `'${SERVICE}' was not resolved: the name has no such records` },
  { desc: 'no target with an address', records: { srv: [{ target: 'a.test', port: 3000 }] }, problem: '\'a.test\' was not resolved: the name does not exist' },
]) {
  t.test(`${desc} is a failure, told once`, async t => {
    const { server, events, source } = await setUp(t)
    if (records !== null) server.set(SERVICE, records)
    for (let i = 0; i < 3; i++) await source.refresh()
    t.strictSame(events.all, [problem])
  })
}
