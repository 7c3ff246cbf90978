import t from 'tap'
import { CountingUpstream } from '../support/counting-upstream.ts'
import { GatewayProcess } from '../support/gateway-process.ts'
import { RedisServer } from '../support/redis-server.ts'

const upstream = await CountingUpstream.start()
t.teardown(() => upstream.stop())
const configOf = (limits: object[], more: object = {}): object => ({
  accessLog: null, workers: 2, upstreams: { u: { endpoints: [upstream.url] } },
  routes: [{ id: 'r', match: { path: '/{rest+}' }, limits, upstream: 'u' }], ...more,
})
type Asked = { status: number; headers: Headers; body: string }
async function ask(gateway: GatewayProcess, headers: Record<string, string> = {}): Promise<Asked> {
  // A connection each, so that all workers are met.
  const response = await fetch(`http://127.0.0.1:${gateway.port}/x`, { headers: { connection: 'close', ...headers } })
  return { status: response.status, headers: response.headers, body: await response.text() }
}
const countOf = (answers: readonly Asked[], status: number): number => answers.filter(answer => answer.status === status).length

t.test('a burst is exact over all workers; the client is told, and admitted when it waits', async t => {
  const gateway = await GatewayProcess.start(configOf([{ name: 'default', requestsPerSecond: 1, burstRequests: 10, key: 'ip' }]))
  t.teardown(() => gateway.stop())
  const startMs = performance.now()
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask(gateway)))
  const passedSeconds = (performance.now() - startMs) / 1000
  const admitted = countOf(answers, 200)
  t.ok(admitted >= 10 && admitted <= 10 + Math.ceil(passedSeconds), `${admitted} admitted`)
  t.equal(countOf(answers, 429), 40 - admitted)
  const denied = answers.find(({ status }) => status === 429)!
  t.match(denied.body, 'GW_RATE_LIMITED')
  t.match(denied.headers.get('ratelimit-policy'), /^"default";q=10;w=10$/)
  t.match(denied.headers.get('ratelimit'), /^"default";r=0;t=\d+$/)
  t.match(answers.find(({ status }) => status === 200)!.headers.get('ratelimit'), /^"default";r=\d+;t=\d+$/)
  const waitSeconds = Number(denied.headers.get('retry-after'))
  t.ok(waitSeconds >= 1)
  await new Promise(resolve => setTimeout(resolve, waitSeconds * 1000))
  t.equal((await ask(gateway)).status, 200)
})

t.test('keys apart by header; what is denied reaches no upstream; a shadow denies nothing', async t => {
  const gateway = await GatewayProcess.start(configOf([
    { name: 'tenant', requestsPerSecond: 0.01, burstRequests: 2, key: 'header:x-tenant' },
    { name: 'try', requestsPerSecond: 0.01, burstRequests: 1, key: 'route', shadow: true },
  ]))
  t.teardown(() => gateway.stop())
  const before = upstream.requests.length
  for (const tenant of ['a', 'b']) {
    const statuses: number[] = []
    for (let i = 0; i < 4; i++) statuses.push((await ask(gateway, { 'x-tenant': tenant })).status)
    t.strictSame(statuses, [200, 200, 429, 429])
  }
  t.equal(upstream.requests.length - before, 4)
  t.match(await gateway.event(['limitShadow']), { route: 'r', limit: 'try' })
})

t.test('maxConcurrent: so many of a key at a time, given back however they end', async t => {
  const slow = await CountingUpstream.start(response => { setTimeout(() => response.end('slow'), 300) })
  const gateway = await GatewayProcess.start({
    accessLog: null, workers: 2, upstreams: { u: { endpoints: [slow.url] } },
    routes: [{ id: 'r', match: { path: '/{rest+}' }, maxConcurrent: { requests: 3, key: 'ip' }, upstream: 'u' }],
  })
  t.teardown(async () => { await gateway.stop(); await slow.stop() })
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(gateway)))
    t.equal(countOf(answers, 200), 3)
    t.equal(countOf(answers, 429), 5)
    t.match(answers.find(({ status }) => status === 429)!.body, 'GW_CONCURRENCY_LIMITED')
  }
  // Clients that leave give back what they had.
  await Promise.all(Array.from({ length: 3 }, () => fetch(`http://127.0.0.1:${gateway.port}/x`, { signal: AbortSignal.timeout(50) }).catch(() => {})))
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal((await ask(gateway)).status, 200)
})

t.test('two gateways share a limit through Redis, and go by its failure policy when Redis is gone', async t => {
  const redis = await RedisServer.start()
  const config = configOf([{ name: 'shared', requestsPerSecond: 20, burstRequests: 40, key: 'ip', onStoreFailure: 'deny' }], { redis: { url: redis.url } })
  const gateways = await Promise.all([GatewayProcess.start(config), GatewayProcess.start(config)])
  t.teardown(async () => {
    for (const gateway of gateways) await gateway.stop()
    await redis.stop()
  })
  for (const gateway of gateways) await gateway.event(['redisConnected'])
  // A bucket that Redis does not know is empty as of the start of its run: it fills in two seconds.
  await new Promise(resolve => setTimeout(resolve, 2500))
  const startMs = performance.now()
  let admitted = 0
  for (let round = 0; round < 20; round++) {
    const answers = await Promise.all(gateways.flatMap(gateway => Array.from({ length: 5 }, () => ask(gateway))))
    admitted += countOf(answers, 200)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const seconds = (performance.now() - startMs) / 1000
  t.ok(admitted <= 40 + 20 * seconds, `${admitted} admitted in ${seconds} s`)
  t.ok(admitted >= 0.8 * 20 * seconds, `${admitted} admitted in ${seconds} s`)
  await redis.kill()
  await new Promise(resolve => setTimeout(resolve, 1500))
  const away = await Promise.all(gateways.map(gateway => ask(gateway)))
  for (const { status, body } of away) {
    t.equal(status, 503)
    t.match(body, 'GW_STORE_UNAVAILABLE')
  }
})
