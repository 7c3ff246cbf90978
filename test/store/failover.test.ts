import { Redis } from 'ioredis'
import { pack } from 'msgpackr'
import t from 'tap'
import { keySlot } from '../../src/store/key-slot.ts'
import { RedisAuthority } from '../../src/store/redis-authority.ts'
import { RedisClient } from '../../src/store/redis-client.ts'
import type { RedisEvent } from '../../src/store/redis-event.ts'
import { GrantLoad } from '../support/grant-load.ts'
import { Random } from '../support/random.ts'
import { RedisClusterServers, SentinelGroup, until } from '../support/redis-groups.ts'
import { redisConfig, type RedisServer } from '../support/redis-server.ts'

const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

t.test('a replica that is promoted by Sentinel under load', async t => {
  const group = await SentinelGroup.start()
  t.teardown(() => group.stop())
  const events: RedisEvent[] = []
  const clients = [1, 2, 3].map(() => new RedisClient(redisConfig(group.config), { onEvent: event => events.push(event) }))
  t.teardown(() => clients.forEach(client => client.close()))
  await Promise.all(clients.map(client => client.nodes()[0]!.whenReady()))

  // A full bucket, by hand: it would take 30 s to fill, much longer than a failover.
  const rate = 100
  const burst = 3000
  const leaseMs = 250
  const fill = async (server: RedisServer): Promise<void> => {
    const runId = clients[0]!.nodes()[0]!.fence!.runId.slice(0, 16)
    const client = new Redis(server.port, '127.0.0.1')
    await client.set('penstock:limit:1:{0}:b', pack([runId, burst - rate * leaseMs / 1000, Date.now() * 1000, {}]))
    client.disconnect()
  }
  const authorities = clients.map((client, index) => new RedisAuthority(client, `node${index}`))
  await authorities[0]!.grant([{ bucket: 'b', requestsPerSecond: rate, capacity: 1000, want: 1, atLeast: 1, leaseMs }])
  const runId = clients[0]!.nodes()[0]!.fence!.runId
  await fill(group.first)
  await wait(100)

  // The replica hears nothing for a while, so it is promoted with the bucket full that the old master saw spent. Its connection
  // is cut as well: what stood in its socket would still be read.
  group.second.pause()
  await group.first.command('CLIENT', 'KILL', 'TYPE', 'replica')
  const load = new GrantLoad(authorities, { bucket: 'b', requestsPerSecond: rate, burst, leaseMs, random: new Random(3) })
  await until(() => load.usedAtMs.length > burst * 0.9)
  await group.first.kill()
  group.second.resume()
  const before = load.usedAtMs.length
  await until(() => clients.every(client => client.isReady))
  t.not(clients[0]!.nodes()[0]!.fence!.runId, runId, 'another process')
  await until(() => load.usedAtMs.length > before + 50)
  await wait(200)

  // And once more with the old master alive: it becomes a replica, and its connections are moved.
  await group.first.restart()
  await group.first.command('REPLICAOF', '127.0.0.1', group.second.port)
  await until(async () => /slave0:.*state=online/.test(String(await group.second.command('INFO', 'replication'))))
  const promoted = clients[0]!.nodes()[0]!.fence!.runId
  await until(() => group.failOver().then(() => true, () => false))
  await until(() => clients.every(client => client.isReady && client.nodes()[0]!.fence!.runId !== promoted))
  await wait(300)
  await load.stop()
  t.ok(load.highestLevel <= burst, `${load.highestLevel} is at most ${burst}`)
  t.ok(load.highestLevel > burst * 0.9, 'and the burst was spent')
  t.ok(load.failures.length > 0, 'the failovers were seen')
  t.strictSame(new Set(events.map(({ event }) => event)), new Set(['redisConnected', 'redisLost', 'redisRecovered']))

  const printed = t.capture(console, 'error')
  await group.sentinel.kill()
  await wait(500)
  t.strictSame(printed(), [], 'a Sentinel that is gone prints nothing')
  t.ok(clients.every(client => client.isReady), 'and the master serves on')
})

t.test('a cluster of three masters', async t => {
  const cluster = await RedisClusterServers.start()
  const config = redisConfig({ ...cluster.config, commandTimeoutMs: 2000 })
  const clients = [1, 2].map(() => new RedisClient(config, { onEvent: () => {} }))
  t.teardown(async () => {
    clients.forEach(client => client.close())
    await cluster.stop()
  })
  const [client] = clients as [RedisClient, RedisClient]
  await until(() => clients.every(({ isReady }) => isReady))
  const [first] = cluster.servers

  await t.test('agrees with Redis on the slot of a key', async t => {
    for (const key of ['', 'a', 'key', '{tag}key', 'key{tag}', '{}key', '{{tag}}', 'a{b}{c}', '{', '}{', 'schlüssel', '123456789']) {
      t.equal(keySlot(key), await first!.command('CLUSTER', 'KEYSLOT', key), key)
    }
  })

  await t.test('reaches every key', async t => {
    for (let i = 0; i < 50; i += 1) {
      await client.command(`key${i}`, 'SET', [`key${i}`, i])
      t.equal(await clients[1]!.command(`key${i}`, 'GET', [`key${i}`]), String(i))
    }
  })

  await t.test('grants buckets of all masters in one call', async t => {
    const authority = new RedisAuthority(client, 'a')
    const requests = Array.from({ length: 200 }, (_none, index) => ({ bucket: `many${index}`, requestsPerSecond: 1000, capacity: 100, want: 1 + index % 7, atLeast: 1, leaseMs: 100 }))
    await authority.grant(requests)
    await wait(20)
    t.strictSame((await authority.grant(requests)).map(({ granted }) => granted), requests.map(({ want }) => want))
  })

  await t.test('with a master killed and come back', async t => {
    const authorities = clients.map((each, index) => new RedisAuthority(each, `node${index}`))
    const victim = cluster.servers[1]!
    const addressOf = (bucket: string): string => client.nodeFor(`penstock:limit:1:{${authorities[0]!.groupOf(bucket)}}:`)!.address
    const names = Array.from({ length: 100 }, (_none, index) => `bucket${index}`)
    const lost = names.find(name => addressOf(name) === victim.address)!
    const kept = names.find(name => addressOf(name) !== victim.address)!
    const options = { requestsPerSecond: 300, burst: 100, leaseMs: 100 }
    const loads = [lost, kept].map(bucket => new GrantLoad(authorities, { ...options, bucket, random: new Random(5) }))
    const [onLost, onKept] = loads as [GrantLoad, GrantLoad]
    await until(() => loads.every(({ usedAtMs }) => usedAtMs.length > 50))
    await victim.kill()
    await until(() => onLost.failures.length > 20)
    const before = onKept.usedAtMs.length
    await until(() => onKept.usedAtMs.length > before + 100)
    t.strictSame(onKept.failures, [], 'the other masters serve on')
    await victim.restart()
    const back = onLost.usedAtMs.length
    await until(() => onLost.usedAtMs.length > back + 100)
    await Promise.all(loads.map(load => load.stop()))
    for (const load of loads) t.ok(load.highestLevel <= options.burst, `${load.highestLevel} is at most ${options.burst}`)
  })

  await t.test('with a slot that moves to another master', async t => {
    const key = 'wanderer'
    const slot = keySlot(key)
    await client.command(key, 'SET', [key, 'here'])
    const from = client.nodeFor(key)!.address
    const target = cluster.servers.find(server => server.address !== from)!
    const id = String(await target.command('CLUSTER', 'MYID'))
    for (const server of cluster.servers) {
      if (server.address === from) await server.command('DEL', key)
      await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', id)
    }
    await client.command(key, 'SET', [key, 'there'])
    t.equal(client.nodeFor(key)!.address, target.address)
    t.equal(await target.command('GET', key), 'there')
  })
})
