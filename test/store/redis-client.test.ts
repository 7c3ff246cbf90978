import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { AuthCache } from '../../src/store/auth-cache.ts'
import { RedisAuthority } from '../../src/store/redis-authority.ts'
import { RedisClient } from '../../src/store/redis-client.ts'
import type { RedisError } from '../../src/store/redis-error.ts'
import type { RedisEvent } from '../../src/store/redis-event.ts'
import { retryDelayMs } from '../../src/store/redis-options.ts'
import { Revocations } from '../../src/store/revocations.ts'
import { Script } from '../../src/store/script.ts'
import { makeCertificate } from '../support/certificates.ts'
import { Random } from '../support/random.ts'
import { until } from '../support/redis-groups.ts'
import { findCommand, freePort, redisConfig, RedisServer } from '../support/redis-server.ts'

const server = await RedisServer.start()
t.teardown(() => server.stop())

type Watched = { client: RedisClient; events: RedisEvent[] }

function watch(t: Test, input: object, files: Record<string, string> = {}): Watched {
  const events: RedisEvent[] = []
  const client = new RedisClient(redisConfig(input), { onEvent: event => events.push(event), files })
  t.teardown(() => client.close())
  return { client, events }
}

const get = (client: RedisClient): Promise<unknown> => client.command('k', 'GET', ['k'])
const codeOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (cause: RedisError) => cause.code)

/** What docs/redis.md says that an ACL user needs. */
function documentedRules(): string[] {
  const page = readFileSync(fileURLToPath(new URL('../../../docs/redis.md', import.meta.url)), 'utf8')
  const [, rules = ''] = /An ACL user needs `([^`]*)` and the commands/.exec(page) ?? []
  const [, commands = ''] = /and the commands `([^`]*)`/.exec(page) ?? []
  return `${rules} ${commands}`.split(/\s+/)
}

t.test('nothing waits for a connection', async t => {
  const { client } = watch(t, { url: server.url })
  t.equal(await codeOf(get(client)), 'unavailable')
  await client.nodes()[0]!.whenReady()
  t.equal(await get(client), null)
})

t.test('a Redis that hangs costs its time limit once, then nothing until it answers again', async t => {
  const { client, events } = watch(t, { url: server.url, commandTimeoutMs: 300 })
  const node = client.nodes()[0]!
  await node.whenReady()
  server.pause()
  const startedAtMs = performance.now()
  const codes = await Promise.all([get(client), get(client), get(client)].map(codeOf))
  t.equal(codes[0], 'timeout')
  t.ok(codes.every(code => code === 'timeout' || code === 'lost'))
  t.ok(performance.now() - startedAtMs >= 299, 'they had their time')
  const failedAtMs = performance.now()
  for (let i = 0; i < 100; i += 1) t.equal(await codeOf(get(client)), 'unavailable')
  t.ok(performance.now() - failedAtMs < 300, '100 more together took less than one limit')
  // Longer than a connection waits for its handshake: the system accepts connections all the while.
  await new Promise(resolve => setTimeout(resolve, 900))
  t.equal(await codeOf(get(client)), 'unavailable')
  server.resume()
  await node.whenReady()
  t.equal(await get(client), null)
  t.strictSame(events.map(({ event }) => event), ['redisConnected', 'redisLost', 'redisRecovered'])
  t.match(events[1], { reason: 'no answer in time' })
})

t.test('an answer that is there is taken, however late this process looks', async t => {
  const { client, events } = watch(t, { url: server.url, commandTimeoutMs: 50 })
  await client.nodes()[0]!.whenReady()
  const reply = get(client)
  const busyUntilMs = performance.now() + 200
  while (performance.now() < busyUntilMs);
  t.equal(await reply, null)
  t.equal(events.length, 1)
})

t.test('a server that is killed and comes back', async t => {
  const { client, events } = watch(t, { url: server.url })
  const node = client.nodes()[0]!
  await node.whenReady()
  const before = node.fence!
  await server.kill()
  await until(async () => await codeOf(get(client)) === 'unavailable')
  await server.restart()
  await node.whenReady()
  t.not(node.fence!.runId, before.runId)
  t.equal(await codeOf(node.send('GET', ['k'], before)), 'moved', 'what was meant for the old process is not sent to the new one')
  t.strictSame(events.map(({ event }) => event), ['redisConnected', 'redisLost', 'redisRecovered'])
})

t.test('a command that was under way when the connection went is not sent again', async t => {
  const { client } = watch(t, { url: server.url, commandTimeoutMs: 5000 })
  const node = client.nodes()[0]!
  await node.whenReady()
  server.pause()
  const incremented = codeOf(client.command('n', 'INCR', ['n']))
  node.drop('test')
  t.equal(await incremented, 'lost')
  server.resume()
  await node.whenReady()
  await new Promise(resolve => setTimeout(resolve, 50))
  t.ok(Number(await client.command('n', 'GET', ['n'])) <= 1)
})

t.test('a script is known again after SCRIPT FLUSH', async t => {
  const { client } = watch(t, { url: server.url })
  const node = client.nodes()[0]!
  await node.whenReady()
  const script = new Script('return { KEYS[1], ARGV[1] }')
  for (let i = 0; i < 2; i += 1) {
    t.strictSame(await script.run(node, ['a'], ['b']), ['a', 'b'])
    await server.command('SCRIPT', 'FLUSH')
  }
})

t.test('a server with evictions is warned of, once', async t => {
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
  t.teardown(() => server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction'))
  const { client, events } = watch(t, { url: server.url })
  const node = client.nodes()[0]!
  await node.whenReady()
  node.drop('test')
  await until(() => events.some(({ event }) => event === 'redisRecovered'))
  t.strictSame(events.map(({ event }) => event), ['redisConnected', 'redisWarning', 'redisLost', 'redisRecovered'])
  t.match(events[1], { problem: /allkeys-lru/ })
})

t.test('a replica is not taken', async t => {
  const replica = await RedisServer.start({ args: ['--replicaof', '127.0.0.1', String(server.port)] })
  t.teardown(() => replica.stop())
  const { client, events } = watch(t, { url: replica.url })
  await until(() => events.length > 0)
  t.match(events, [{ event: 'redisLost', reason: 'is a replica' }])
  await replica.promote()
  await client.nodes()[0]!.whenReady()
  t.equal(await get(client), null)
})

t.test('passwords and ACL users', async t => {
  const closed = await RedisServer.start({ password: 'hunter2' })
  t.teardown(() => closed.stop())
  await closed.command('ACL', 'SETUSER', 'gw', 'on', '>pass word/1', ...documentedRules())
  for (const { desc, input } of [
    { desc: 'in the URL', input: { url: `redis://:hunter2@${closed.address}` } },
    { desc: 'beside it', input: { url: closed.url, password: 'hunter2' } },
    { desc: 'a user in the URL', input: { url: `redis://gw:pass%20word%2F1@${closed.address}` } },
    { desc: 'a user beside it', input: { url: closed.url, username: 'gw', password: 'pass word/1' } },
  ]) {
    const { client } = watch(t, input)
    await client.nodes()[0]!.whenReady()
    t.equal(await client.command('penstock:k', 'GET', ['penstock:k']), null, desc)
    const authority = new RedisAuthority(client)
    t.strictSame((await authority.grant([{ bucket: 'b', requestsPerSecond: 1, capacity: 1, want: 1, atLeast: 1, leaseMs: 0 }])).length, 1)
    const cache = new AuthCache(client, { scope: 'a', secret: null, read: unpacked => unpacked })
    t.equal(await cache.set('token', 1, 1000), true)
    t.equal(await cache.get('token'), 1)
    t.equal(await cache.delete('token'), true)
    const revocations = new Revocations(client, { onRevoked: () => {} })
    await revocations.whenCurrent()
    await revocations.revoke({ kind: 'jti', value: 'x', atMs: 1, expiresAtMs: Date.now() + 1000 })
    revocations.close()
  }
  for (const { desc, input, reason } of [
    { desc: 'a wrong one', input: { url: `redis://:Swordfish@${closed.address}` }, reason: /WRONGPASS/ },
    { desc: 'none', input: { url: closed.url }, reason: /NOAUTH/ },
  ]) {
    const { events } = watch(t, input)
    await until(() => events.length > 0)
    t.match(events, [{ event: 'redisLost', reason }], desc)
    t.notMatch(JSON.stringify(events), /Swordfish/, 'no secret')
  }
})

t.test('a server that repeats in an error what it was sent gets no secret into an event', async t => {
  const sockets = new Set<Socket>()
  const echo = createServer(socket => {
    sockets.add(socket.on('error', () => {}))
    socket.on('data', bytes => {
      const text = bytes.toString()
      const answer = `-ERR unknown command, with args beginning with: ${text.replace(/[\r\n]+/g, ' ')}\r\n`
      socket.write(answer.repeat(text.match(/^\*\d/gm)?.length ?? 0))
    })
  })
  await new Promise<void>(resolve => echo.listen(0, '127.0.0.1', resolve))
  t.teardown(() => { sockets.forEach(socket => socket.destroy()); echo.close() })
  const { events } = watch(t, { url: `redis://gw:Swordfish@127.0.0.1:${(echo.address() as { port: number }).port}` })
  await until(() => events.length > 0)
  t.match(events, [{ event: 'redisLost', reason: /^ERR$/ }])
})

t.test('TLS', { skip: findCommand('openssl') === null && 'needs openssl' }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-redis-tls-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { cert, key } = makeCertificate(folder, 'redis', ['redis.test'])
  const secure = await RedisServer.start({
    args: ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-auth-clients', 'no', '--tls-port', '0'],
  })
  t.teardown(() => secure.stop())
  const port = await freePort()
  await secure.command('CONFIG', 'SET', 'tls-port', port)
  const files = { [cert]: readFileSync(cert, 'utf8') }
  const url = `rediss://127.0.0.1:${port}`
  const { client } = watch(t, { url, tls: { ca: cert, serverName: 'redis.test' }, connectTimeoutMs: 5000 }, files)
  await client.nodes()[0]!.whenReady()
  t.equal(await get(client), null)
  for (const { desc, tls } of [
    { desc: 'an authority that is not trusted', tls: null },
    { desc: 'another name', tls: { ca: cert, serverName: 'other.test' } },
  ]) {
    const { events } = watch(t, { url, tls, connectTimeoutMs: 5000 }, files)
    await until(() => events.length > 0)
    t.match(events, [{ event: 'redisLost', reason: /SELF_SIGNED|ALTNAME/ }], desc)
  }
})

t.test('waits between attempts double up to a second, half of each by chance', async t => {
  const random = new Random(1)
  for (const [attempt, most] of [[1, 50], [2, 100], [3, 200], [5, 800], [6, 1000], [7, 1000], [1000, 1000]] as const) {
    for (let i = 0; i < 20; i += 1) {
      const delayMs = retryDelayMs(attempt, () => random.next())
      t.ok(delayMs >= most / 2 && delayMs <= most)
    }
  }
})
