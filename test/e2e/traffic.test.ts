import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { CountingUpstream } from '../support/counting-upstream.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const named = (name: string): Promise<CountingUpstream> => CountingUpstream.start(response => response.end(name))
async function ask(gateway: GatewayProcess, path = '/x', init: RequestInit = {}): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, init)
  return { status: response.status, body: await response.text() }
}
async function start(test: Test, upstreams: Record<string, CountingUpstream>, routes: object[]): Promise<GatewayProcess> {
  const gateway = await GatewayProcess.start({ accessLog: null, upstreams: Object.fromEntries(Object.entries(upstreams).map(([name, { url }]) => [name, { endpoints: [url] }])), routes })
  test.teardown(async () => {
    await gateway.stop()
    for (const upstream of Object.values(upstreams)) await upstream.stop()
  })
  return gateway
}
const user = (number: number): RequestInit => ({ headers: { 'x-user': `u${number}` } })

t.test('split: by weight; with a key a user never flips, and a ramp only moves users over', async t => {
  const upstreams = { old: await named('old'), next: await named('next') }
  const routesFor = (weight: number): object[] => [{
    id: 'all', match: { path: '/{rest+}' }, splitBy: 'header:x-user', split: [{ upstream: 'old', weight: 100 - weight }, { upstream: 'next', weight }],
  }]
  const config = { accessLog: null, upstreams: { old: { endpoints: [upstreams.old.url] }, next: { endpoints: [upstreams.next.url] } } }
  const gateway = await start(t, upstreams, routesFor(0))
  let before = new Set<number>()
  for (const weight of [0, 5, 30, 60, 100]) {
    if (weight > 0) await gateway.reload({ ...config, routes: routesFor(weight) })
    const moved = new Set<number>()
    for (let number = 0; number < 200; number++) {
      const { body } = await ask(gateway, '/x', user(number))
      if (body === 'next') moved.add(number)
      if (number % 20 === 0) t.equal((await ask(gateway, '/y', user(number))).body, body)
    }
    t.ok([...before].every(number => moved.has(number)), `nobody goes back at ${weight} %`)
    t.ok(Math.abs(moved.size - weight * 2) < 30, `${moved.size} of 200 at ${weight} %`)
    before = moved
  }
})

t.test('mirror: copies arrive, with their bodies; the primary is neither slower nor failed by them', async t => {
  const primary = await CountingUpstream.start(response => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":1,"b":2}'))
  const copy = await CountingUpstream.start((response, number) => {
    if (number <= 2) response.writeHead(200, { 'content-type': 'application/json' }).end('{"b":2,"a":1}')
    else if (number === 3) response.writeHead(500).end('{"a":2}')
    else if (number === 4) response.socket!.destroy()
  })
  const gateway = await start(t, { primary, copy }, [{ id: 'all', match: { path: '/{rest+}' }, upstream: 'primary', mirror: { upstream: 'copy', compare: ['status', 'latency', 'json'], maxInFlight: 8 } }])
  for (const init of [{}, { method: 'POST', body: 'the body' }, {}, {}]) {
    t.strictSame(await ask(gateway, '/path?q=1', init), { status: 200, body: '{"a":1,"b":2}' })
    while (copy.requests.length < primary.requests.length) await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.strictSame(copy.requests.map(({ method, url, body }) => [method, url, body]), primary.requests.map(({ method, url, body }) => [method, url, body]))
  t.equal(copy.requests[1]!.body, 'the body')
  // From here the copies are never answered: at most eight are under way, the others are dropped.
  const beforeMs = performance.now()
  await Promise.all(Array.from({ length: 40 }, () => ask(gateway, '/y')))
  t.ok(performance.now() - beforeMs < 5000)
  t.ok(copy.requests.length <= 4 + 8, `${copy.requests.length} copies`)
  t.equal((await ask(gateway, '/big', { method: 'POST', body: 'b'.repeat(100_000) })).status, 200)
  const report = await gateway.event(['mirrorReport'])
  t.match(report, { upstream: 'copy', route: 'all', compared: 3, statusDiffers: 1, jsonCompared: 3, jsonDiffers: 1, failed: 1 })
  t.ok(Number(report['dropped']) >= 33, `${report['dropped']} dropped`)
})

t.test('faults: by header, delayed and aborted', async t => {
  const upstream = await named('well')
  const gateway = await start(t, { upstream }, [
    { id: 'fault', match: { path: '/fault' }, upstream: 'upstream', fault: { header: 'x-chaos', delay: { ms: 200 }, abort: { status: 418 } } },
    { id: 'share', match: { path: '/share' }, upstream: 'upstream', fault: { abort: { status: 503, ratio: 0.5 } } },
    { id: 'late', match: { path: '/late' }, upstream: 'upstream', timeoutMs: 100, fault: { delay: { ms: 5000 } } },
  ])
  t.strictSame(await ask(gateway, '/fault'), { status: 200, body: 'well' })
  const beforeMs = performance.now()
  t.match(await ask(gateway, '/fault', { headers: { 'x-chaos': '1' } }), { status: 418, body: /GW_FAULT_INJECTED/ })
  t.ok(performance.now() - beforeMs >= 190)
  let aborted = 0
  for (let i = 0; i < 100; i++) if ((await ask(gateway, '/share')).status === 503) aborted++
  t.ok(aborted > 20 && aborted < 80, `${aborted} of 100`)
  t.match(await ask(gateway, '/late'), { status: 504, body: /GW_EXCHANGE_TIMEOUT/ }, 'a delay counts against the time of the exchange')
})

for (const { busyMs, want } of [{ busyMs: 300, want: ['low'] }, { busyMs: 600, want: ['low', 'normal'] }]) {
  t.test(`shedding: a loop that lags ${busyMs} ms sheds ${want.join(' and ')}, and critical never`, async t => {
    process.env['BUSY_MS'] = String(busyMs)
    const routes = ['low', 'normal', 'high', 'critical'].map(priority => ({ id: priority, match: { path: `/${priority}` }, priority, mock: { body: priority } }))
    const gateway = await GatewayProcess.startUnder(['--import', fileURLToPath(new URL('../support/busy-worker.js', import.meta.url))], { accessLog: null, shedding: { maxLagMs: 200 }, routes })
    t.teardown(() => gateway.stop())
    const shed = new Set<string>()
    // A slow machine may lag more and shed more; it waits for what is to be shed at the least.
    while (!want.every(id => shed.has(id))) {
      for (const { id } of routes) {
        const { status, body } = await ask(gateway, `/${id}`)
        if (status === 200) continue
        t.match(body, 'GW_OVERLOADED')
        shed.add(id)
      }
    }
    t.notOk(shed.has('critical'))
  })
}
