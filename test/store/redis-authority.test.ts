import { unpack } from 'msgpackr'
import { Redis } from 'ioredis'
import t from 'tap'
import type { GrantRequest } from '../../src/limits/authority.ts'
import { RedisAuthority } from '../../src/store/redis-authority.ts'
import { RedisClient } from '../../src/store/redis-client.ts'
import { GrantLoad } from '../support/grant-load.ts'
import { Random } from '../support/random.ts'
import { redisConfig, RedisServer } from '../support/redis-server.ts'

const server = await RedisServer.start()
t.teardown(() => server.stop())

async function connect(): Promise<RedisClient> {
  const client = new RedisClient(redisConfig({ url: server.url, commandTimeoutMs: 2000 }), { onEvent: () => {} })
  await client.nodes()[0]!.whenReady()
  return client
}

const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
const ask = (bucket: string, changes: Partial<GrantRequest> = {}): GrantRequest => (
  { bucket, requestsPerSecond: 1000, capacity: 100, want: 10, atLeast: 1, leaseMs: 100, ...changes }
)

type Stored = [run: string, tokens: number, timeUs: number, contenders: Record<string, number>]

t.test('grants what the arithmetic of LIMITER.md says, with the time of Redis', async t => {
  await server.flush()
  const client = await connect()
  const reader = new Redis(server.port, '127.0.0.1')
  t.teardown(() => { client.close(); reader.disconnect() })
  const run = client.nodes()[0]!.fence!.runId.slice(0, 16)
  const random = new Random(1)
  const nodes = ['a', 'b', 'c'].map(name => ({ name, authority: new RedisAuthority(client, name) }))
  const rates = [0.5, 7, 250, 5000, 100_000]
  const buckets = rates.map((requestsPerSecond, index) => ({ bucket: `b${index}`, requestsPerSecond, capacity: [1, 2.5, 20, 100, 40_000][index]!, leaseMs: [0, 300, 20, 50, 1000][index]! }))
  const before = new Map<string, Stored>()
  let epochUs: number | null = null
  for (let step = 0; step < 400; step += 1) {
    const { name, authority } = random.pick(nodes)
    const requests = buckets.filter(() => random.chance(0.5)).map(bucket => {
      const want = 1 + random.below(Math.floor(bucket.capacity))
      return { ...bucket, want, atLeast: random.chance(0.3) ? want : 1 }
    })
    if (requests.length === 0) continue
    const replies = await authority.grant(requests)
    epochUs ??= Number((unpack((await reader.getBuffer('penstock:limit:1:{0}:epoch'))!) as [string, number])[1])
    for (const [index, { bucket, requestsPerSecond, capacity, want, atLeast, leaseMs }] of requests.entries()) {
      const key = `penstock:limit:1:{0}:${bucket}`
      const now = unpack((await reader.getBuffer(key))!) as Stored
      const last = before.get(bucket) ?? [run, 0, epochUs, {}]
      const [, , timeUs] = now.map(Number) as [number, number, number]
      const k = Math.min(capacity, Number(last[1]) + requestsPerSecond * (timeUs - Number(last[2])) / 1e6)
      const contending = Object.entries(last[3]).filter(([other, at]) => other !== name && timeUs - Number(at) <= leaseMs * 1000).length + 1
      const whole = Math.floor(k)
      const granted = want <= k ? want : whole < atLeast ? 0 : Math.min(want, whole, Math.max(atLeast, Math.ceil(k / contending)))
      const { granted: got, remaining, retryAfterMs } = replies[index]!
      const place = `step ${step} bucket ${bucket}: ${want} of ${k} for ${name}, ${contending} contend`
      if (got !== granted || remaining !== Math.floor(k - granted)) t.fail(`${place}: got ${got} with ${remaining} left, not ${granted}`)
      if (now[0] !== run || Math.abs(now[1] - (k - granted)) > 1e-6) t.fail(`${place}: stored ${JSON.stringify(now)}`)
      if (granted === want && retryAfterMs !== 0) t.fail(`${place}: told to wait though all was granted`)
      if (granted < want) {
        const neededMs = Math.max(0, (granted === 0 ? atLeast : 1) - now[1]) / requestsPerSecond * 1000
        if (retryAfterMs < neededMs || retryAfterMs > neededMs + 1.001) t.fail(`${place}: told to wait ${retryAfterMs}, needed ${neededMs}`)
      }
      const ttlMs = await reader.pttl(key)
      const keptMs = (capacity - now[1]) / requestsPerSecond * 1000 + leaseMs + 1000
      if (ttlMs <= keptMs - 1000 || ttlMs > keptMs + 1) t.fail(`${place}: kept for ${ttlMs}, not ${keptMs}`)
      before.set(bucket, now)
    }
    await wait(random.below(6))
  }
  t.equal(before.size, buckets.length)
})

t.test('a wait of retryAfterMs is enough', async t => {
  const client = await connect()
  t.teardown(() => client.close())
  const authority = new RedisAuthority(client, 'a')
  const request = ask('patient', { requestsPerSecond: 50, capacity: 5, want: 3, atLeast: 3, leaseMs: 0 })
  for (let round = 0; round < 10; round += 1) {
    const [reply] = await authority.grant([request])
    if (reply!.granted === 3) continue
    t.equal(reply!.granted, 0)
    await wait(reply!.retryAfterMs)
    t.equal((await authority.grant([request]))[0]!.granted, 3)
  }
})

t.test('nodes that ask for too much share what there is', async t => {
  const client = await connect()
  t.teardown(() => client.close())
  const [a, b] = [new RedisAuthority(client, 'a'), new RedisAuthority(client, 'b')]
  const request = ask('shared', { requestsPerSecond: 400, capacity: 400, want: 400, leaseMs: 5000 })
  await a.grant([request])
  await b.grant([request])
  await wait(120)
  const [first] = await a.grant([request])
  t.ok(first!.granted >= 24, `at least half of 48, not ${first!.granted}`)
  t.ok(first!.remaining >= first!.granted - 2, 'and as much is left')
  t.ok(first!.retryAfterMs > 0)
  const [second] = await b.grant([request])
  t.ok(second!.granted >= 12 && second!.granted < request.want, `a half of the rest and what came meanwhile, not ${second!.granted}`)
})

t.test('no bucket, many, and more than one script call takes', async t => {
  const client = await connect()
  t.teardown(() => client.close())
  const authority = new RedisAuthority(client, 'a')
  t.strictSame(await authority.grant([]), [])
  await authority.grant([ask('warm')])
  await wait(20)
  const replies = await authority.grant(Array.from({ length: 300 }, (_none, index) => ask(`many${index}`, { want: 1 + index % 5 })))
  t.strictSame(replies.map(({ granted }) => granted), Array.from({ length: 300 }, (_none, index) => 1 + index % 5))
})

t.test('bytes that are no bucket count as an unknown one', async t => {
  const client = await connect()
  t.teardown(() => client.close())
  const authority = new RedisAuthority(client, 'a')
  for (const [index, bytes] of ['', 'x', '\xc1', '\x94\xa1a\xa1b\xa1c\xa1d'].entries()) {
    await server.command('SET', `penstock:limit:1:{0}:odd${index}`, bytes)
    t.ok((await authority.grant([ask(`odd${index}`)]))[0]!.granted >= 0)
  }
})

t.test('what it rejects', async t => {
  const client = await connect()
  const authority = new RedisAuthority(client, 'a')
  await server.command('SET', 'penstock:limit:1:{0}:list', 'x')
  await server.command('DEL', 'penstock:limit:1:{0}:list')
  await server.command('LPUSH', 'penstock:limit:1:{0}:list', 'x')
  await t.rejects(authority.grant([ask('list')]), { name: 'RedisError', code: 'refused' })
  client.close()
  await t.rejects(authority.grant([ask('closed')]), { name: 'RedisError', code: 'unavailable' })
})

// Level of a leaky bucket over all uses of all nodes, whatever happens to Redis. It happens when a full bucket has just been spent,
// when state that is lost would be worth most.
for (const { desc, disturb } of [
  { desc: 'nothing', disturb: async () => {} },
  { desc: 'SCRIPT FLUSH', disturb: () => server.command('SCRIPT', 'FLUSH') },
  { desc: 'FLUSHALL', disturb: () => server.flush() },
  { desc: 'connections that are cut', disturb: () => server.command('CLIENT', 'KILL', 'TYPE', 'normal').catch(() => {}) },
  { desc: 'a restart without its data', disturb: () => server.restart() },
  { desc: 'a pause', disturb: async () => { server.pause(); await wait(150); server.resume() } },
]) {
  t.test(`admitted(t1, t2] <= B + R(t2 - t1) over four nodes with ${desc}`, async t => {
    const clients = await Promise.all([connect(), connect(), connect(), connect()])
    t.teardown(() => clients.forEach(client => client.close()))
    const burst = 60
    const bucket = `promise-${desc.replace(/\W/g, '-')}`
    const authorities = clients.map((client, index) => new RedisAuthority(client, `node${index}`))
    const load = new GrantLoad(authorities, { bucket, requestsPerSecond: 200, burst, leaseMs: 60, random: new Random(7) })
    for (let round = 0; round < 4; round += 1) {
      load.isResting = true
      await wait(260)
      load.isResting = false
      await wait(60)
      await disturb()
      await wait(100)
    }
    await load.stop()
    t.ok(load.usedAtMs.length > 100, `${load.usedAtMs.length} were admitted, ${load.failures.length} calls failed`)
    t.ok(load.highestLevel <= burst, `${load.highestLevel} is at most ${burst}`)
    t.ok(load.highestLevel > burst / 2, 'and the burst was to be had')
  })
}
