import t from 'tap'
import { AuthCache } from '../../src/store/auth-cache.ts'
import { RedisClient } from '../../src/store/redis-client.ts'
import { until } from '../support/redis-groups.ts'
import { redisConfig, RedisServer } from '../support/redis-server.ts'

type Decision = { ok: true; subject: string; scopes: string[]; claims: Record<string, unknown> | null } | { ok: false; reason: string }

function read(unpacked: unknown): Decision | null {
  return typeof unpacked === 'object' && unpacked !== null && typeof (unpacked as Decision).ok === 'boolean' ? unpacked as Decision : null
}

const server = await RedisServer.start()
const client = new RedisClient(redisConfig({ url: server.url, keyPrefix: 'test:', commandTimeoutMs: 2000 }), { onEvent: () => {} })
await client.nodes()[0]!.whenReady()
t.teardown(() => { client.close(); return server.stop() })

const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.signature'
const good: Decision = { ok: true, subject: 'alice', scopes: ['users:read'], claims: { sub: 'alice', exp: 1_900_000_000, ratio: 0.5, nested: { list: [1, null, 'x'] }, __proto__x: 1 } }
const bad: Decision = { ok: false, reason: 'expired' }

for (const { desc, secret } of [{ desc: 'plain digests', secret: null }, { desc: 'keyed digests', secret: 'sixteen characters' }]) {
  t.test(`decisions, good and bad, with ${desc}`, async t => {
    await server.flush()
    const cache = new AuthCache<Decision>(client, { scope: 'issuer', secret, read })
    t.equal(await cache.get(TOKEN), null)
    t.equal(await cache.set(TOKEN, good, 60_000), true)
    t.equal(await cache.set('wrong', bad, 5000.9), true)
    t.strictSame(await cache.get(TOKEN), good)
    t.strictSame(await cache.get('wrong'), bad)
    const keys = (await server.command('KEYS', '*')) as string[]
    t.equal(keys.length, 2)
    for (const key of keys) {
      t.match(key, /^test:auth:1:issuer:[\w-]{43}$/)
      t.ok(Number(await server.command('PTTL', key)) > 0, 'it ends by itself')
      t.notOk(String(await server.command('GET', key)).includes(TOKEN), 'no token in clear')
    }
    t.equal(await cache.delete(TOKEN), true)
    t.equal(await cache.get(TOKEN), null)
  })
}

t.test('scopes and secrets keep caches apart', async t => {
  const cache = new AuthCache<Decision>(client, { scope: 'a', secret: 'one', read })
  await cache.set(TOKEN, good, 60_000)
  for (const [scope, secret] of [['b', 'one'], ['a', 'two'], ['a', null]] as const) {
    t.equal(await new AuthCache<Decision>(client, { scope, secret, read }).get(TOKEN), null)
  }
})

t.test('ends by its time', async t => {
  const cache = new AuthCache<Decision>(client, { scope: 'short', secret: null, read })
  t.equal(await cache.set(TOKEN, good, 20), true)
  await until(async () => await cache.get(TOKEN) === null)
  for (const ttlMs of [0, -1, 0.5, NaN]) t.equal(await cache.set(TOKEN, good, ttlMs), false)
  t.equal(await cache.get(TOKEN), null)
})

t.test('bytes that are no decision are a miss', async t => {
  const cache = new AuthCache<Decision>(client, { scope: 'odd', secret: null, read })
  await cache.set(TOKEN, good, 60_000)
  const [key = ''] = (await server.command('KEYS', 'test:auth:1:odd:*')) as string[]
  for (const bytes of ['', '\xc1', 'plain text', '\xdd\xff\xff\xff\xff', '\x81\xa9__proto__\x81\xa2ok\xc3']) {
    await server.command('SET', key, bytes)
    t.equal(await cache.get(TOKEN), null)
  }
  await server.command('DEL', key)
  await server.command('LPUSH', key, 'x')
  t.equal(await cache.get(TOKEN), null)
  t.equal(({} as Record<string, unknown>)['ok'], undefined)
})

t.test('what is too large is not kept', async t => {
  const cache = new AuthCache<Decision>(client, { scope: 'large', secret: null, read })
  t.equal(await cache.set(TOKEN, { ok: false, reason: 'x'.repeat(70_000) }, 60_000), false)
})

t.test('Redis away is a miss, at once', async t => {
  const cache = new AuthCache<Decision>(client, { scope: 'away', secret: null, read })
  await cache.set(TOKEN, good, 60_000)
  await server.kill()
  await until(() => !client.isReady)
  t.equal(await cache.get(TOKEN), null)
  t.equal(await cache.set(TOKEN, good, 60_000), false)
  t.equal(await cache.delete(TOKEN), false)
})
