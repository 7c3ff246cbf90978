import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'
import { parseRedisUrl } from '../../src/config/redis-url.ts'
import type { RedisConfig } from '../../src/config/schema-redis.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-redis-config-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function load(redis: string): RedisConfig | null | readonly string[] {
  const file = join(folder, 'p.yaml')
  writeFileSync(file, `redis: ${redis}\n`)
  try {
    return loadSnapshot(file, { SECRET: 'hunter2', NODE: 'user:hunter2@x' }).document.redis
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    return cause.problems.map(({ pointer, message }) => `${pointer}: ${message}`)
  }
}

t.test('absent or null is off', async t => {
  t.equal(load('null'), null)
})

t.test('defaults', async t => {
  t.strictSame(load('{ url: "redis://127.0.0.1:6379/0", password: "${SECRET}" }'), {
    url: 'redis://127.0.0.1:6379/0', keyPrefix: 'penstock:', username: null, password: 'hunter2', tls: null, commandTimeoutMs: 100, connectTimeoutMs: 1000,
  })
})

for (const text of [
  '{ cluster: ["127.0.0.1:7000", "[::1]:7001", "redis-2:7002"], tls: {} }',
  '{ sentinel: { name: main, nodes: ["s1:26379"], password: "${SECRET}" }, keyPrefix: "" }',
  '{ url: "rediss://gw:a%20b@redis.example.com", tls: { serverName: redis }, keyPrefix: "gw/1:", commandTimeoutMs: 20 }',
  '{ url: "redis://[::1]", username: gw, password: x }',
  '{ url: "redis://:x@a", username: gw }',
]) {
  t.test(`is taken: ${text}`, async t => {
    t.notOk(Array.isArray(load(text)), JSON.stringify(load(text)))
  })
}

for (const [desc, text, pointer, message] of [
  ['no server', '{}', '/redis', /one of url, cluster, sentinel/],
  ['two kinds', '{ url: "redis://a", cluster: ["a:1"] }', '/redis', /url and cluster: keep one/],
  ['no URL', '{ url: "127.0.0.1:6379" }', '/redis/url', /not a URL/],
  ['another scheme', '{ url: "http://a" }', '/redis/url', /redis or rediss/],
  ['no host', '{ url: "redis:///0" }', '/redis/url', /./],
  ['a path that is no database', '{ url: "redis://a/b" }', '/redis/url', /database/],
  ['a query', '{ url: "redis://a?db=1" }', '/redis/url', /query/],
  ['port 0', '{ url: "redis://a:0" }', '/redis/url', /port 0/],
  ['a plain URL with tls', '{ url: "redis://a", tls: {} }', '/redis/url', /rediss/],
  ['two passwords', '{ url: "redis://:hunter2@a", password: x }', '/redis/url', /keep one/],
  ['two users', '{ url: "redis://u:hunter2@a", username: x, password: y }', '/redis/url', /keep one/],
  ['a user without a password', '{ url: "redis://a", username: x }', '/redis/username', /password/],
  ['a password in a URL that is refused', '{ url: "redis://u:hunter2@a/b" }', '/redis/url', /\[redacted\]/],
  ['a password with an at sign in it', '{ url: "redis://u:hun@ter2@a/b" }', '/redis/url', /\[redacted\]@a/],
  ['a variable in a URL that is refused', '{ url: "redis://:${SECRET}@a/b" }', '/redis/url', /\$\{SECRET\}/],
  ['a node without a port', '{ cluster: [a] }', '/redis/cluster/0', /host:port/],
  ['a node with port 0', '{ cluster: ["a:0"] }', '/redis/cluster/0', /port 0/],
  ['a node twice', '{ cluster: ["a:1", "a:1"] }', '/redis/cluster/1', /same/],
  ['a node that holds a secret', '{ cluster: ["${NODE}"] }', '/redis/cluster/0', /\$\{NODE\}/],
  ['no node', '{ cluster: [] }', '/redis/cluster', /./],
  ['a Sentinel without a name', '{ sentinel: { nodes: ["a:1"] } }', '/redis/sentinel/name', /missing/],
  ['a Sentinel that is no address', '{ sentinel: { name: m, nodes: ["redis://a"] } }', '/redis/sentinel/nodes/0', /host:port/],
  ['a prefix with a hash tag', '{ url: "redis://a", keyPrefix: "{a}" }', '/redis/keyPrefix', /letters/],
  ['a time limit of nothing', '{ url: "redis://a", commandTimeoutMs: 0 }', '/redis/commandTimeoutMs', /at least 5/],
  ['an authority that is not there', '{ url: "rediss://a", tls: { ca: no.pem } }', '/redis/tls/ca', /no such file/],
  ['a certificate without its key', '{ url: "rediss://a", tls: { cert: no.pem } }', '/redis/tls/cert', /'key'/],
  ['an unknown key', '{ url: "redis://a", pasword: x }', '/redis/pasword', /password/],
] as const) {
  t.test(`is refused: ${desc}`, async t => {
    const problems = load(text)
    if (!Array.isArray(problems)) return t.fail('it is taken')
    t.ok(problems.some(problem => problem.startsWith(`${pointer}: `) && message.test(problem)), JSON.stringify(problems))
    t.notMatch(JSON.stringify(problems), /hunter2|hun@|ter2/, 'no secret is shown')
  })
}

t.test('what a URL says', async t => {
  t.strictSame(parseRedisUrl('redis://[::1]:7000/3'), { host: '::1', port: 7000, database: 3, username: null, password: null, isTls: false })
  t.strictSame(parseRedisUrl('rediss://gw:p%40ss@redis.example.com'), { host: 'redis.example.com', port: 6379, database: 0, username: 'gw', password: 'p@ss', isTls: true })
})
