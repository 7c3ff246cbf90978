import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'penstock-cli-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const valid = join(folder, 'valid.yaml')
writeFileSync(valid, `upstreams: { u: { endpoints: ["http://127.0.0.1:1"] } }
routes:
  - { id: users, match: { path: "/users/{id}", methods: [GET, POST], hosts: [a.example] }, upstream: u }
  - { id: beta, match: { path: /b, headers: { x-beta: "1" }, query: { v: "2" } }, mock: { status: 202 } }
`)
const invalid = join(folder, 'invalid.yaml')
writeFileSync(invalid, 'workers: 0\nroutes:\n  - { id: a, match: { path: /a }, upstreem: u }\n')

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8', env: { ...process.env, SECRET: 'hunter2' } })
}

t.test('check of a valid document says what it would serve', async t => {
  const { status, stdout, stderr } = run('check', valid)
  t.equal(status, 0)
  t.equal(stderr, '')
  t.match(stdout, /valid\.yaml is valid, version [0-9a-f]{16}\nlisteners: http:\/\/127\.0\.0\.1:8080\nupstreams: u \(1\)\nroutes: 2\n/)
})

t.test('check of an invalid one says all that is wrong, where, and what to do; exit code 2', async t => {
  const { status, stdout, stderr } = run('check', invalid)
  t.equal(status, 2)
  t.equal(stdout, '')
  const lines = stderr.trim().split('\n')
  t.match(lines[0], /invalid\.yaml:1:10 \/workers: /)
  t.match(lines.join('\n'), /invalid\.yaml:3:\d+ \/routes\/0\/upstreem: unknown key 'upstreem'; did you mean 'upstream'\?/)
})

t.test('start refuses an invalid document the same way, and serves nothing', async t => {
  const { status, stdout, stderr } = run('start', '--config', invalid)
  t.equal(status, 2)
  t.equal(stdout, '')
  t.match(stderr, 'did you mean \'upstream\'?')
})

t.test('a document that is not there', async t => {
  for (const args of [['check', 'nowhere.yaml'], ['routes', 'nowhere.yaml'], ['start', '--config', 'nowhere.yaml']]) {
    const { status, stderr } = run(...args)
    t.equal(status, 2)
    t.match(stderr, /nowhere\.yaml: can't be read: there is no such file/)
  }
})

t.test('routes prints a table', async t => {
  const { status, stdout } = run('routes', valid)
  t.equal(status, 0)
  const [header, ...rows] = stdout.trimEnd().split('\n').map(line => line.split(/ {2,}/))
  t.strictSame(header, ['ID', 'METHODS', 'HOSTS', 'PATH', 'CONDITIONS', 'DESTINATION'])
  t.strictSame(rows, [['users', 'GET,POST', 'a.example', '/users/{id}', 'upstream u'], ['beta', '*', '*', '/b', 'x-beta: 1 ?v=2', 'mock 202']])
})

t.test('routes --json prints the same as JSON', async t => {
  const rows = JSON.parse(run('routes', valid, '--json').stdout) as { id: string }[]
  t.strictSame(rows.map(row => row.id), ['users', 'beta'])
})

t.test('schema prints a JSON Schema with every key of the document', async t => {
  const { status, stdout } = run('schema')
  t.equal(status, 0)
  const schema = JSON.parse(stdout) as { $schema: string; properties: Record<string, unknown> }
  t.match(schema.$schema, 'json-schema.org')
  t.match(Object.keys(schema.properties).sort(), ['accessLog', 'admin', 'authenticators', 'bounds', 'consumers', 'dataDirectory', 'drainTimeoutMs', 'listeners', 'plans', 'redis', 'routes', 'shedding', 'trustedProxies', 'upstreams', 'workers', 'zone'])
})

t.test('bad usage: exit code 2, and a hint', async t => {
  t.match(run('chek'), { status: 2, stderr: /Did you mean check\?/ })
  t.match(run('check'), { status: 2, stderr: /missing required argument/ })
  t.match(run('start', '--confg', valid), { status: 2, stderr: /--config/ })
  t.match(run('--help'), { status: 0, stdout: /Usage: penstock/ })
})
