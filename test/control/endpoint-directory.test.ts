import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { type DocumentInput, documentSchema, type UpstreamConfig } from '../../src/config/schema.ts'
import { type DiscoveryConfig, EndpointDirectory, type EndpointSourceEvents } from '../../src/control/endpoint-directory.ts'
import type { EndpointTable } from '../../src/protocol/endpoint-table.ts'
import { Prober, type ProberEvents } from '../../src/control/health/prober.ts'
import type { EndpointAddress } from '../../src/upstream/endpoint.ts'

type UpstreamInput = NonNullable<DocumentInput['upstreams']>[string]

const parse = (upstreams: Record<string, UpstreamInput>): Record<string, UpstreamConfig> => documentSchema.parse({ upstreams }).upstreams
const whole = (url: string, more = {}) => ({ url, weight: 1, priority: 0, zone: null, name: null, ...more })

class FakeSource {
  readonly config: DiscoveryConfig
  readonly events: EndpointSourceEvents
  isStarted = false
  isStopped = false
  endLookUp: () => void = () => { /* Not asked yet. */ }
  failLookUp: (cause: Error) => void = () => { /* Not asked yet. */ }

  constructor(config: DiscoveryConfig, events: EndpointSourceEvents) {
    this.config = config
    this.events = events
  }

  start(): void {
    this.isStarted = true
  }

  stop(): void {
    this.isStopped = true
  }

  refresh(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.endLookUp = resolve
      this.failLookUp = reject
    })
  }
}

class FakeProber {
  readonly events: ProberEvents
  readonly tlsOptions: (host: string) => ConnectionOptions
  urls: string[] = []
  isStopped = false
  readonly #down = new Set<string>()

  constructor(tlsOptions: (host: string) => ConnectionOptions, events: ProberEvents) {
    this.tlsOptions = tlsOptions
    this.events = events
  }

  update(endpoints: readonly EndpointAddress[]): void {
    this.urls = endpoints.map(({ url }) => url)
  }

  states(): ReadonlyMap<string, boolean> {
    return new Map(this.urls.map(url => [url, !this.#down.has(url)]))
  }

  stop(): void {
    this.isStopped = true
  }

  turn(url: string, isHealthy: boolean, reason: string): void {
    if (isHealthy) this.#down.delete(url)
    else this.#down.add(url)
    this.events.onTransition(url, isHealthy, reason)
  }
}

function startDirectory(t: Test, firstLookUpMs?: number) {
  const sources: FakeSource[] = []
  const probers: FakeProber[] = []
  const changes: { readonly upstream: string; readonly table: EndpointTable }[] = []
  const lines: object[] = []
  const log = (level: string) => (entry: object) => { lines.push({ level, ...entry }) }
  const directory = new EndpointDirectory({
    createSource(config, events) {
      const source = new FakeSource(config, events)
      sources.push(source)
      return source
    },
    createProber(_config, tlsOptions, events) {
      const prober = new FakeProber(tlsOptions, events)
      probers.push(prober)
      return prober
    },
  }, { info: log('info'), warn: log('warn') } as unknown as ConstructorParameters<typeof EndpointDirectory>[1], {
    onChange: (upstream, table) => { changes.push({ upstream, table }) },
  }, firstLookUpMs)
  t.teardown(() => directory.stop())
  /** The look-ups of new sources end as soon as they are asked for. */
  const apply = async (upstreams: Record<string, UpstreamInput>, found: readonly string[] | null = null, files = {}): Promise<void> => {
    const from = sources.length
    const applied = directory.apply(parse(upstreams), files)
    for (const source of sources.slice(from)) {
      if (found !== null) source.events.onEndpoints(found)
      source.endLookUp()
    }
    await applied
  }
  return { directory, sources, probers, changes, lines, apply }
}

t.test('joins the endpoints of the document with those found; the first of a URL counts', async t => {
  const { directory, sources, changes, apply } = startDirectory(t)
  await apply({
    users: { endpoints: ['http://10.0.0.1:80/', { url: 'http://10.0.0.2:81', weight: 3, zone: 'a' }], discovery: { file: 'users.json' } },
    orders: { endpoints: ['https://orders.internal'] },
  })
  t.strictSame(directory.tables(), {
    users: { endpoints: [whole('http://10.0.0.1'), whole('http://10.0.0.2:81', { weight: 3, zone: 'a' })], unhealthy: [] },
    orders: { endpoints: [whole('https://orders.internal')], unhealthy: [] },
  })
  sources[0]!.events.onEndpoints([
    { url: 'http://10.0.0.2:81', weight: 9 }, { url: 'http://10.0.0.3:80', name: 'users.internal', priority: 1 }, 'http://10.0.0.3', 'http://10.0.0.4',
  ])
  const want = { unhealthy: [], endpoints: [
    whole('http://10.0.0.1'), whole('http://10.0.0.2:81', { weight: 3, zone: 'a' }),
    whole('http://10.0.0.3', { name: 'users.internal', priority: 1 }), whole('http://10.0.0.4'),
  ] }
  t.strictSame(changes, [{ upstream: 'users', table: want }])
  t.strictSame(directory.tables()['users'], want)
})

t.test('tells what was found and lost, and only when something changed', async t => {
  const { sources, probers, changes, lines, apply } = startDirectory(t)
  await apply({ users: { discovery: { url: 'http://registry/users' }, health: {} } })
  const [source] = sources
  source!.events.onEndpoints(['http://a', 'http://b'])
  source!.events.onEndpoints(['http://a', 'http://b'])
  source!.events.onEndpoints(['http://b', 'http://c'])
  source!.events.onEndpoints([{ url: 'http://b', weight: 2 }, 'http://c'])
  t.strictSame(lines, [
    { level: 'info', event: 'endpointsChanged', upstream: 'users', added: ['http://a', 'http://b'], removed: [] },
    { level: 'info', event: 'endpointsChanged', upstream: 'users', added: ['http://c'], removed: ['http://a'] },
    { level: 'info', event: 'endpointsChanged', upstream: 'users', added: [], removed: [] },
  ])
  t.equal(changes.length, 3)
  t.strictSame(probers[0]!.urls, ['http://b', 'http://c'], 'the prober follows')
})

t.test('tells health; an endpoint that is gone is not unhealthy any more', async t => {
  const { directory, sources, probers, changes, lines, apply } = startDirectory(t)
  await apply({ users: { endpoints: ['http://a'], discovery: { dns: 'http://users:80' }, health: {} } }, ['http://b'])
  const before = directory.tables()['users']!
  lines.length = 0
  probers[0]!.turn('http://b', false, 'status 503')
  probers[0]!.turn('http://a', false, 'timeout')
  probers[0]!.turn('http://a', true, 'ok')
  t.strictSame(changes.map(({ table }) => table.unhealthy), [['http://b'], ['http://a', 'http://b'], ['http://b']])
  t.ok(changes.every(({ table }) => table.endpoints === before.endpoints), 'the list of endpoints stays the same array')
  t.strictSame(lines, [
    { level: 'warn', event: 'endpointUnhealthy', upstream: 'users', endpoint: 'http://b', reason: 'status 503' },
    { level: 'warn', event: 'endpointUnhealthy', upstream: 'users', endpoint: 'http://a', reason: 'timeout' },
    { level: 'info', event: 'endpointHealthy', upstream: 'users', endpoint: 'http://a', reason: 'ok' },
  ])
  sources[0]!.events.onEndpoints([])
  t.strictSame(directory.tables()['users'], { endpoints: [whole('http://a')], unhealthy: [] })
})

t.test('a look-up that fails is logged once, and again when it fails otherwise or anew', async t => {
  const { directory, sources, changes, lines, apply } = startDirectory(t)
  await apply({ users: { discovery: { srv: '_http._tcp.users' } } }, ['http://a'])
  lines.length = 0
  const { events } = sources[0]!
  for (const problem of ['ENOTFOUND', 'ENOTFOUND', 'timeout', 'timeout']) events.onFailure(problem)
  events.onEndpoints(['http://a'])
  events.onFailure('timeout')
  t.strictSame(lines, ['ENOTFOUND', 'timeout', 'timeout'].map(problem => ({ level: 'warn', event: 'discoveryFailed', upstream: 'users', problem })))
  t.strictSame(directory.tables()['users']!.endpoints, [whole('http://a')], 'those found before stay')
  t.strictSame(changes, [])
})

const USERS = { endpoints: ['http://a'], discovery: { file: '/users.json' }, health: {}, tls: { ca: '/ca.pem' } } satisfies UpstreamInput

for (const { desc, next, files = { '/ca.pem': 'one' }, isNewSource = false, isNewProber = false, found = ['http://b'] } of [
  { desc: 'nothing', next: USERS },
  { desc: 'the balancing', next: { ...USERS, balance: 'round-robin' as const } },
  { desc: 'the weight of an endpoint', next: { ...USERS, endpoints: [{ url: 'http://a', weight: 4 }] } },
  { desc: 'the interval of discovery', next: { ...USERS, discovery: { file: '/users.json', intervalMs: 100 } }, isNewSource: true },
  { desc: 'the place of discovery', next: { ...USERS, discovery: { file: '/others.json' } }, isNewSource: true, found: [] },
  { desc: 'discovery ends', next: { ...USERS, discovery: null }, isNewSource: true, found: [] },
  { desc: 'the interval of health', next: { ...USERS, health: { intervalMs: 100 } }, isNewProber: true },
  { desc: 'health ends', next: { ...USERS, health: null }, isNewProber: true },
  { desc: 'the server name', next: { ...USERS, tls: { ca: '/ca.pem', serverName: 'x' } }, isNewProber: true },
  { desc: 'a certificate renewed under its name', next: USERS, files: { '/ca.pem': 'two' }, isNewProber: true },
]) {
  t.test(`what a new document changes is made anew, the rest is kept: ${desc}`, async t => {
    const { directory, sources, probers, changes, apply } = startDirectory(t)
    await apply({ users: USERS }, ['http://b'], { '/ca.pem': 'one' })
    probers[0]!.turn('http://b', false, 'timeout')
    changes.length = 0
    await apply({ users: next }, null, files)

    t.equal(sources[0]!.isStopped, isNewSource)
    t.equal(sources.length, isNewSource && next.discovery !== null ? 2 : 1)
    t.ok(sources.every(source => source.isStarted))
    t.equal(probers[0]!.isStopped, isNewProber)
    t.equal(probers.length, isNewProber && next.health !== null ? 2 : 1)
    t.strictSame(changes, [], 'the caller hands the tables over')
    const table = directory.tables()['users']!
    t.match(table.endpoints, ['http://a', ...found].map(url => ({ url })))
    t.equal(table.endpoints.length, 1 + found.length)
    t.strictSame(table.unhealthy, isNewProber || found.length === 0 ? [] : ['http://b'], 'one that is kept knows what it knew')
    if (next.health !== null) t.strictSame(probers.at(-1)!.urls, ['http://a', ...found])

    // What is not followed any more has no say.
    if (isNewSource) sources[0]!.events.onEndpoints(['http://old'])
    t.strictSame(changes, [])
  })
}

t.test('the first version waits for the first look-ups, and what they find is not told besides', async t => {
  const { directory, sources, probers, changes } = startDirectory(t, 60_000)
  let isApplied = false
  const applied = directory.apply(parse({
    users: { discovery: { dns: 'http://users:80' }, health: {} }, orders: { discovery: { srv: 'orders' } }, fixed: { endpoints: ['http://f'], health: {} },
  }), {}).then(() => { isApplied = true })
  sources[0]!.events.onEndpoints(['http://a'])
  sources[0]!.endLookUp()
  probers[0]!.turn('http://a', false, 'timeout')
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(isApplied, 'one is still out')
  sources[1]!.failLookUp(new Error('a refresh that rejects'))
  await applied
  t.match(directory.tables(), { users: { endpoints: [{ url: 'http://a' }], unhealthy: ['http://a'] }, orders: { endpoints: [] }, fixed: { endpoints: [{ url: 'http://f' }] } })
  t.strictSame(changes, [])
  sources[1]!.events.onEndpoints(['http://o'])
  t.match(changes, [{ upstream: 'orders', table: { endpoints: [{ url: 'http://o' }] } }], 'one that comes later is')
})

t.test('but not for ever', async t => {
  const { directory, sources, changes } = startDirectory(t, 20)
  await directory.apply(parse({ users: { discovery: { dns: 'http://users:80' } } }), {})
  t.strictSame(directory.tables(), { users: { endpoints: [], unhealthy: [] } })
  sources[0]!.events.onEndpoints(['http://a'])
  t.equal(changes.length, 1)
})

t.test('a reload waits for no source that is kept, and upstreams that stay tell their changes meanwhile', async t => {
  const { directory, sources, changes, apply } = startDirectory(t, 60_000)
  await apply({ users: { discovery: { dns: 'http://users:80' } } })
  await directory.apply(parse({ users: { discovery: { dns: 'http://users:80' }, pipelining: 2 } }), {})
  const applied = directory.apply(parse({ users: { discovery: { dns: 'http://users:80' } }, orders: { discovery: { srv: 'orders' } } }), {})
  sources[0]!.events.onEndpoints(['http://a'])
  t.match(changes, [{ upstream: 'users' }])
  sources[1]!.endLookUp()
  await applied
})

t.test('an upstream that is gone is stopped and forgotten', async t => {
  const { directory, sources, probers, changes, apply } = startDirectory(t)
  await apply({ users: USERS, orders: { endpoints: ['http://o'] } })
  await apply({ orders: { endpoints: ['http://o'] } })
  t.ok(sources[0]!.isStopped && probers[0]!.isStopped)
  sources[0]!.events.onEndpoints(['http://late'])
  t.strictSame(Object.keys(directory.tables()), ['orders'])
  t.strictSame(changes, [])
})

t.test('stop ends all, also the wait for a look-up', async t => {
  const { directory, sources, probers, changes, lines } = startDirectory(t, 60_000)
  const applied = directory.apply(parse({ users: USERS }), {})
  directory.stop()
  await applied
  t.ok(sources[0]!.isStopped && probers[0]!.isStopped)
  sources[0]!.events.onEndpoints(['http://late'])
  sources[0]!.events.onFailure('late')
  await directory.apply(parse({ users: USERS }), {})
  t.equal(sources.length, 1, 'and nothing starts anew')
  t.strictSame({ changes, lines }, { changes: [], lines: [] })
})

t.test('probes with the TLS settings of the document', async t => {
  const { probers, apply } = startDirectory(t)
  await apply({ users: { endpoints: ['https://a'], health: {}, tls: { serverName: 'users.internal', rejectUnauthorized: false } } })
  t.match(probers[0]!.tlsOptions('a'), { servername: 'users.internal', rejectUnauthorized: false })
})

t.test('with real probes: an endpoint goes down and comes back', async t => {
  let status = 503
  const server = createServer((_request, response) => { response.writeHead(status).end() })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const unhealthy: (readonly string[])[] = []
  const directory = await new Promise<EndpointDirectory>(resolve => {
    const made = new EndpointDirectory({
      createSource: (config, events) => new FakeSource(config, events),
      createProber: (config, tlsOptions, events) => new Prober(config, tlsOptions, events, { random: Math.random }),
    }, { info: () => { /* Not asked. */ }, warn: () => { /* Not asked. */ } } as unknown as ConstructorParameters<typeof EndpointDirectory>[1], {
      onChange: (_upstream, table) => {
        status = 200
        if (unhealthy.push(table.unhealthy) === 2) resolve(made)
      },
    })
    void made.apply(parse({ users: { endpoints: [url], health: { intervalMs: 10, timeoutMs: 60_000 } } }), {})
  })
  directory.stop()
  t.strictSame(unhealthy, [[url], []])
})
