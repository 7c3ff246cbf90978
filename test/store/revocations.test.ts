import t, { type Test } from 'tap'
import { RedisClient } from '../../src/store/redis-client.ts'
import type { Revocation } from '../../src/store/revocation.ts'
import { Revocations } from '../../src/store/revocations.ts'
import { RedisClusterServers, SentinelGroup, until } from '../support/redis-groups.ts'
import { redisConfig, RedisServer } from '../support/redis-server.ts'

const server = await RedisServer.start()
t.teardown(() => server.stop())

type Follower = { revocations: Revocations; heard: string[] }

async function follow(t: Test, input: object = { url: server.url }): Promise<Follower> {
  const client = new RedisClient(redisConfig({ commandTimeoutMs: 2000, ...input }), { onEvent: () => {} })
  const heard: string[] = []
  const revocations = new Revocations(client, { onRevoked: news => heard.push(...news.map(({ kind, value }) => `${kind} ${value}`)) })
  t.teardown(() => { revocations.close(); client.close() })
  await revocations.whenCurrent()
  return { revocations, heard }
}

const make = (value: string, changes: Partial<Revocation> = {}): Revocation => ({ kind: 'jti', value, atMs: Date.now(), expiresAtMs: Date.now() + 60_000, ...changes })
const values = ({ revocations }: Follower): string[] => revocations.current().map(({ value }) => value).sort()

t.test('reaches every other node in under a second', async t => {
  await server.flush()
  const [a, b, c] = [await follow(t), await follow(t), await follow(t)]
  for (const kind of ['key', 'consumer', 'jti', 'before'] as const) {
    const startedAtMs = performance.now()
    await a.revocations.revoke(make(`${kind}-value`, { kind }))
    await until(() => b.heard.includes(`${kind} ${kind}-value`) && c.heard.includes(`${kind} ${kind}-value`))
    t.ok(performance.now() - startedAtMs < 1000)
  }
  t.equal(a.heard.length, 4)
  t.strictSame(b.heard, a.heard, 'each once')
})

t.test('holds after a restart of the subscriber, until its end', async t => {
  await server.flush()
  const first = await follow(t)
  await first.revocations.revoke(make('long'))
  await first.revocations.revoke(make('short', { expiresAtMs: Date.now() + 150 }))
  t.strictSame(values(first), ['long', 'short'])
  first.revocations.close()
  const second = await follow(t)
  t.ok(values(second).includes('long'))
  await until(() => values(second).length === 1)
  await second.revocations.revoke(make('other'))
  t.equal(await server.command('ZCARD', 'penstock:revoked:1'), 2, 'what has ended is removed')
  t.ok(Number(await server.command('PTTL', 'penstock:revoked:1')) <= 60_000, 'and the whole with the last')
})

t.test('more than one page', async t => {
  await server.flush()
  const a = await follow(t)
  await Promise.all(Array.from({ length: 1700 }, (_none, index) => a.revocations.revoke(make(`value${index}`))))
  const b = await follow(t)
  t.strictSame(values(b), values(a))
  t.equal(b.heard.length, 1700)
})

t.test('the same again, and one that lasts longer', async t => {
  await server.flush()
  const [a, b] = [await follow(t), await follow(t)]
  const revocation = make('x')
  for (const expiresAtMs of [0, 0, -30_000, 30_000].map(more => revocation.expiresAtMs + more)) await a.revocations.revoke({ ...revocation, expiresAtMs })
  await until(() => b.heard.length === 2)
  t.strictSame(b.revocations.current(), [{ ...revocation, expiresAtMs: revocation.expiresAtMs + 30_000 }])
})

t.test('a gap in the subscription is healed', async t => {
  await server.flush()
  const [a, b] = [await follow(t), await follow(t)]
  for (let round = 0; round < 5; round += 1) {
    await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await a.revocations.revoke(make(`gap${round}`))
    await until(() => b.heard.includes(`jti gap${round}`))
  }
  t.equal(b.heard.length, 5)
})

t.test('a subscription that hangs is renewed', async t => {
  const [a, b] = [await follow(t, { url: server.url, commandTimeoutMs: 200 }), await follow(t)]
  server.pause()
  await until(() => !a.revocations.isCurrent)
  server.resume()
  await until(() => a.revocations.isCurrent && b.revocations.isCurrent)
  await b.revocations.revoke(make('after the pause'))
  await until(() => a.heard.includes('jti after the pause'))
})

t.test('what Redis has lost is given back by those who know it', async t => {
  const [a, b] = [await follow(t), await follow(t)]
  await a.revocations.revoke(make('kept'))
  await until(() => b.heard.includes('jti kept'))
  await server.restart()
  await until(async () => await server.command('EXISTS', 'penstock:revoked:1') === 1)
  t.ok(values(await follow(t)).includes('kept'))
})

t.test('one that Redis does not take holds here, and is given to it later', async t => {
  const [a, b] = [await follow(t), await follow(t)]
  await server.kill()
  await t.rejects(a.revocations.revoke(make('early')), { name: 'RedisError' })
  t.ok(values(a).includes('early'))
  await server.restart()
  await until(() => b.heard.includes('jti early'))
})

t.test('what is no revocation is refused, and passed over where Redis has it', async t => {
  await server.flush()
  const a = await follow(t)
  for (const changes of [{ value: 'x'.repeat(1025) }, { atMs: NaN }, { expiresAtMs: 0.5 }, { kind: 'user' as 'key' }]) {
    await t.rejects(a.revocations.revoke(make('x', changes)), TypeError)
  }
  for (const member of ['', 'x', '[]', '["jti","x"]', '["user","x",1]', '["jti",1,1]', '{"a":1}']) {
    await server.command('ZADD', 'penstock:revoked:1', Date.now() + 60_000, member)
    await server.command('PUBLISH', 'penstock:revocations:1', JSON.stringify([[member, Date.now() + 60_000]]))
  }
  for (const text of ['', '1', 'null', '[1]', '[[]]', '{}']) await server.command('PUBLISH', 'penstock:revocations:1', text)
  await a.revocations.revoke(make('good'))
  t.strictSame(values(await follow(t)), ['good'])
  t.strictSame(a.heard, ['jti good'])
})

t.test('on a cluster, with the node killed that a subscriber is on', async t => {
  const cluster = await RedisClusterServers.start()
  t.teardown(() => cluster.stop())
  const followers = [await follow(t, cluster.config), await follow(t, cluster.config), await follow(t, cluster.config)]
  const [a] = followers as [Follower]
  await a.revocations.revoke(make('first'))
  await until(() => followers.every(({ heard }) => heard.includes('jti first')))
  // Not the one with the key: without a replica it would be away.
  const keyed = Number(await cluster.servers[0]!.command('CLUSTER', 'KEYSLOT', 'penstock:revoked:1'))
  const holder = Math.floor(keyed / (16_384 / 3))
  for (const [index, victim] of cluster.servers.entries()) if (index !== holder) await victim.kill()
  await until(() => followers.every(({ revocations }) => revocations.isCurrent))
  await until(() => a.revocations.revoke(make('second')).then(() => true, () => false))
  await until(() => followers.every(({ heard }) => heard.includes('jti second')))
  t.pass()
})

t.test('across a failover by Sentinel', async t => {
  const group = await SentinelGroup.start()
  t.teardown(() => group.stop())
  const [a, b] = [await follow(t, group.config), await follow(t, group.config)]
  await a.revocations.revoke(make('before it'))
  await until(() => b.heard.includes('jti before it'))
  await group.first.kill()
  await until(() => a.revocations.revoke(make('after it')).then(() => true, () => false))
  await until(() => b.heard.includes('jti after it') && b.revocations.isCurrent)
  t.strictSame(new Set(values(await follow(t, group.config))), new Set(['after it', 'before it']))
})
