import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-config-'))
t.teardown(() => rmSync(folder, { recursive: true }))

function problemsOf(text: string, environment: Record<string, string> = {}): string[] {
  const file = join(folder, 'p.yaml')
  writeFileSync(file, text)
  try {
    loadSnapshot(file, environment)
    return []
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    return cause.problems.map(({ line, column, pointer, message }) => `${line}:${column} ${pointer}: ${message}`)
  }
}

for (const { desc, text, want } of [
  { desc: 'an unknown key names the nearest known one', text: 'routes:\n  - { id: a, match: { path: /a, methds: [GET] }, mock: {} }\n', want: [/^2:\d+ \/routes\/0\/match.*methds.*methods/] },
  { desc: 'a key of a later version is refused as such', text: 'offload: { threads: 2 }\n', want: [/\/offload: .*not supported yet/] },
  { desc: 'all errors at once', text: 'workers: 0\nroutes:\n  - { id: a, match: { path: a }, mock: {} }\n  - { id: a, match: { path: /b }, upstream: x }\n', want: [/^1:\d+ \/workers/, /\/routes\/0\/match\/path/, /\/routes\/1/] },
  { desc: 'an upstream that is not defined', text: 'upstreams: { users: { endpoints: ["http://a"] } }\nroutes: [{ id: a, match: { path: /a }, upstream: user }]\n', want: [/upstream 'user' is not defined.*'users'/] },
  { desc: 'two routes that could both win, with an example', text: 'routes:\n  - { id: a, match: { path: "/u/{id}" }, mock: {} }\n  - { id: b, match: { path: "/u/{name}", methods: [GET] }, mock: {} }\n', want: [/http:\/\/any\.example\/u\/name/] },
  { desc: 'a variable that is missing', text: 'workers: ${NO_SUCH}\n', want: [/^1:\d+ .*NO_SUCH/] },
  { desc: 'YAML that is none', text: 'a: [\n', want: [/./] },
]) {
  t.test(desc, async t => {
    const problems = problemsOf(text)
    for (const pattern of want) t.ok(problems.some(problem => pattern.test(problem)), `${pattern} in ${JSON.stringify(problems)}`)
  })
}

t.test('variables, with and without a default', async t => {
  t.strictSame(problemsOf('workers: ${COUNT}\nlisteners: [{ address: "${ADDRESS:-127.0.0.1:0}" }]\n', { COUNT: '3' }), [])
})

for (const name of ['penstock.yaml', 'example.yaml']) {
  t.test(`config/${name} is valid`, async t => {
    const { document, version } = loadSnapshot(fileURLToPath(new URL(`../../../config/${name}`, import.meta.url)), {})
    t.ok(document.routes.length > 0)
    t.match(version, /^[0-9a-f]{16}$/)
  })
}

t.test('50,000 routes, as JSON and as YAML', async t => {
  const routes = Array.from({ length: 50_000 }, (_, i) => ({ id: `r${i}`, match: { path: `/s${i}/{id}` }, mock: { body: 'x' } }))
  for (const text of [JSON.stringify({ routes }), `routes:\n${routes.map(route => `  - ${JSON.stringify(route)}\n`).join('')}`]) {
    const file = join(folder, 'large.yaml')
    writeFileSync(file, text)
    t.equal(loadSnapshot(file, {}).document.routes.length, 50_000)
  }
})
