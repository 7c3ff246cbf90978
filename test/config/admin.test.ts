import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, type ConfigProblem } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'
import type { Document } from '../../src/config/schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-admin-config-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function load(text: string, environment: Record<string, string> = {}): Document {
  const file = join(folder, 'p.yaml')
  writeFileSync(file, text)
  return loadSnapshot(file, environment).document
}

function problemsOf(text: string, environment: Record<string, string> = {}): readonly ConfigProblem[] {
  try {
    load(text, environment)
    return []
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    return cause.problems
  }
}

t.test('there is no admin API unless the document asks for one', async t => {
  t.equal(load('routes: []\n').admin, null)
  t.equal(load('admin: null\n').admin, null)
})

t.test('the data directory is relative to the document', async t => {
  t.equal(load('routes: []\n').dataDirectory, join(folder, 'data'))
  t.equal(load('dataDirectory: /var/lib/penstock\n').dataDirectory, '/var/lib/penstock')
})

t.test('without more: on loopback, without a token, two keys a consumer', async t => {
  t.strictSame(load('admin: {}\n').admin, { address: '127.0.0.1:9000', token: null, maxKeysPerConsumer: 2 })
})

for (const { desc, text, environment, want } of [
  { desc: 'an empty token is none', text: 'admin: { token: "${TOKEN:-}" }\n', environment: {}, want: null },
  { desc: 'a token from the environment', text: 'admin: { token: "${TOKEN:-}" }\n', environment: { TOKEN: 'sixteen-letters-' }, want: 'sixteen-letters-' },
  { desc: 'a token of digits stays text', text: 'admin: { token: "${TOKEN}" }\n', environment: { TOKEN: '1234567890123456' }, want: '1234567890123456' },
  { desc: 'a long token lets it listen anywhere', text: 'admin: { address: "0.0.0.0:9000", token: "${TOKEN}" }\n', environment: { TOKEN: 'x'.repeat(40) }, want: 'x'.repeat(40) },
]) {
  t.test(desc, async t => { t.equal(load(text, environment as Record<string, string>).admin?.token, want) })
}

for (const address of ['127.0.0.1:9000', '127.8.9.1:1', '[::1]:9000', '[0:0:0:0:0:0:0:1]:9000', 'localhost:9000', 'LOCALHOST:0']) {
  t.test(`${address} is loopback, and needs no token`, async t => { t.strictSame(problemsOf(`admin: { address: "${address}" }\n`), []) })
}

for (const address of ['0.0.0.0:9000', '[::]:9000', '10.0.0.1:9000', '128.0.0.1:9000', 'gateway.example:9000', 'localhost.example:9000', '[::ffff:127.0.0.1]:9000', '[::2]:9000']) {
  t.test(`${address} can be reached from elsewhere, and is refused without a token, with the remedy`, async t => {
    const [problem, ...more] = problemsOf(`admin: { address: "${address}", token: "\${TOKEN:-}" }\n`)
    t.strictSame(more, [])
    t.equal(problem?.pointer, '/admin/address')
    t.match(problem?.message, /listen on 127\.0\.0\.1, or add 'token' \(make one with `openssl/)
  })
}

for (const { desc, text, pointer, message } of [
  { desc: 'a token that is short, also on loopback', text: 'admin: { token: "${SHORT}" }', pointer: '/admin/token', message: /at least 16 characters/ },
  { desc: 'a token that is short, in clear', text: 'admin: { token: hunter2hunter2x }', pointer: '/admin/token', message: /at least 16 characters/ },
  { desc: 'a token that no header could carry', text: 'admin: { token: "hunter2 hunter2 hunter2" }', pointer: '/admin/token', message: /visible ASCII/ },
  { desc: 'an address without a port', text: 'admin: { address: localhost }', pointer: '/admin/address', message: /host:port/ },
  { desc: 'the address of a listener', text: 'listeners: [{ address: "127.0.0.1:1" }, { address: "localhost:2" }]\nadmin: { address: "localhost:2" }', pointer: '/admin/address', message: /\/listeners\/1/ },
  { desc: 'no key at all', text: 'admin: { maxKeysPerConsumer: 0 }', pointer: '/admin/maxKeysPerConsumer', message: /at least 1/ },
  { desc: 'an unknown key', text: 'admin: { tokens: a }', pointer: '/admin/tokens', message: /did you mean 'token'/ },
  { desc: 'a short token beside a mistake elsewhere', text: 'workers: 0\nadmin: { token: "${SHORT}" }', pointer: '/admin/token', message: /at least 16/ },
  { desc: 'an empty data directory', text: 'dataDirectory: ""', pointer: '/dataDirectory', message: /empty/ },
]) {
  t.test(`refuses ${desc}, and shows no token`, async t => {
    const problems = problemsOf(`${text}\n`, { SHORT: 'hunter2' })
    t.match(problems.find(problem => problem.pointer === pointer)?.message, message, JSON.stringify(problems))
    t.notMatch(JSON.stringify(problems), 'hunter2')
  })
}
