import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { AdminApi } from '../support/admin-api.ts'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))
const TOKEN = 'correct-horse-battery'

type Ran = { status: number | null; stdout: string; stderr: string }

/** The command as a child: the API is in this process, and must go on meanwhile. */
function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Ran> {
  const env = { PATH: process.env['PATH'] ?? '', ...environment }
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ran: Ran = { status: null, stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => { ran.stdout += chunk })
  child.stderr.on('data', (chunk: Buffer) => { ran.stderr += chunk })
  return new Promise(resolve => child.once('close', status => resolve({ ...ran, status })))
}

t.test('create, list, revoke', async t => {
  const api = await AdminApi.start(t)
  const env = { PENSTOCK_ADMIN: `127.0.0.1:${api.port}` }
  const created = await run(['keys', 'create', '--consumer', 'acme', '--plan', 'gold', '--expires', '2030-06-01'], env)
  t.equal(created.status, 0, created.stderr)
  t.match(created.stdout, /^pk_[\w-]{43}\n$/, 'the key stands alone on standard output')
  t.match(created.stderr, /consumer acme is new, with plan gold\nkey (key_\w+) of acme, until 2030-06-01T00:00:00\.000Z; it is not shown again\n/)
  t.match(api.store.consumer('acme'), { plan: 'gold' })
  const [key] = api.store.keysOf('acme')
  t.match(key, { plan: null, lastFour: created.stdout.slice(-5, -1) })

  const second = JSON.parse((await run(['keys', 'create', '--consumer', 'acme', '--plan', 'silver', '--json'], env)).stdout) as { id: string; plan: string; key: string }
  t.equal(second.plan, 'silver', 'a known consumer stays as it is; the key has a plan of its own')
  t.match(api.store.consumer('acme'), { plan: 'gold' })
  await run(['keys', 'create', '--consumer', 'declared', '--plan', 'gold'], env)

  const list = await run(['keys', 'list', '--consumer', 'acme'], env)
  t.equal(list.status, 0)
  const [titles, ...rows] = list.stdout.trimEnd().split('\n').map(line => line.split(/ {2,}/))
  t.strictSame(titles, ['ID', 'CONSUMER', 'PLAN', 'KEY', 'STATE', 'CREATED', 'EXPIRES'])
  t.strictSame(rows, [
    [key!.id, 'acme', '-', `pk_…${key!.lastFour}`, 'valid', '2030-01-01T00:00:00.000Z', '2030-06-01T00:00:00.000Z'],
    [second.id, 'acme', 'silver', `pk_…${second.key.slice(-4)}`, 'valid', '2030-01-01T00:00:00.000Z', '-'],
  ])
  t.match(await run(['keys', 'revoke', second.id], env), { status: 0, stdout: `key ${second.id} of acme is revoked\n`, stderr: '' })
  const all = JSON.parse((await run(['keys', 'list', '--json'], env)).stdout) as { consumer: string; state: string }[]
  t.strictSame(all.map(({ consumer, state }) => `${consumer} ${state}`).sort(), ['acme revoked', 'acme valid', 'declared valid'])
})

t.test('list walks all pages', async t => {
  const api = await AdminApi.start(t)
  await Promise.all(Array.from({ length: 1001 }, (_, index) => api.store.createKey({
    digest: index.toString(16).padStart(64, '0'), prefix: 'pk_', lastFour: 'abcd', consumerId: `c${index}`, plan: null, expiresAtMs: null,
  })))
  const { stdout } = await run(['keys', 'list', '--address', `http://127.0.0.1:${api.port}/`])
  t.equal(stdout.trimEnd().split('\n').length, 1002)
})

t.test('status', async t => {
  const api = await AdminApi.start(t)
  const env = { PENSTOCK_ADMIN: `127.0.0.1:${api.port}` }
  t.match(await run(['status'], env), { status: 0, stderr: '', stdout: [
    'version 0123456789abcdef, up for 1 d 2 h since 2029-12-31T00:00:00.000Z',
    'workers 1 of 2 ready',
    'UPSTREAM  ENDPOINT              HEALTH',
    'users     http://10.0.0.1:3000  unhealthy',
    'empty     (none)                -',
    '',
  ].join('\n') })
  t.match(JSON.parse((await run(['status', '--json'], env)).stdout), { uptimeMs: 93_784_000 })
})

t.test('the token comes from the environment, or from an option; what it is stands in no message', async t => {
  const api = await AdminApi.start(t, TOKEN)
  const address = `127.0.0.1:${api.port}`
  t.equal((await run(['status', '--address', address], { PENSTOCK_ADMIN_TOKEN: TOKEN })).status, 0)
  t.equal((await run(['status', '--address', address, '--token', TOKEN])).status, 0)
  const none = await run(['keys', 'list', '--address', address])
  t.match(none, { status: 1, stdout: '', stderr: /wants a token: set PENSTOCK_ADMIN_TOKEN to admin\.token of its document/ })
  const wrong = await run(['keys', 'list', '--address', address], { PENSTOCK_ADMIN_TOKEN: 'wrong-horse-battery' })
  t.match(wrong, { status: 1, stdout: '', stderr: /does not take this token: set PENSTOCK_ADMIN_TOKEN/ })
  for (const { stderr } of [none, wrong]) t.notMatch(stderr, /--token|horse/, 'nobody is told to write a token into a command line')
})

t.test('what the gateway refuses is said as the gateway says it: exit code 1', async t => {
  const api = await AdminApi.start(t)
  const env = { PENSTOCK_ADMIN: `127.0.0.1:${api.port}` }
  t.match(await run(['keys', 'create', '--consumer', 'acme', '--plan', 'iron'], env), { status: 1, stdout: '', stderr: /no plan 'iron': the document has 'gold', 'silver'/ })
  t.equal(api.store.consumer('acme'), null)
  t.match(await run(['keys', 'list', '--consumer', 'nobody'], env), { status: 1, stderr: /there is no consumer 'nobody'/ })
  t.match(await run(['keys', 'revoke', 'key_0'], env), { status: 1, stderr: /there is no key 'key_0'/ })
  t.match(await run(['keys', 'create', '--consumer', 'acme', '--expires', '2001-01-01T00:00:00Z'], env), { status: 1, stderr: /in the future/ })
})

t.test('nothing listens, or something else does: exit code 1, and where to look', async t => {
  const server = createServer((_request, response) => response.end('hello'))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as { port: number }).port}`
  t.match(await run(['status', '--address', address]), { status: 1, stderr: /is not the admin API of Penstock/ })
  server.removeAllListeners('request').on('request', (_request, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end())
  t.match(await run(['status', '--address', address], { PENSTOCK_ADMIN_TOKEN: TOKEN }), { status: 1, stderr: /can't reach/ }, 'it follows nobody elsewhere')
  server.removeAllListeners('request').on('request', (_request, response) => response.writeHead(500).end('oops'))
  t.match(await run(['status', '--address', address]), { status: 1, stderr: /is not the admin API of Penstock \(status 500\)/ })
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  t.match(await run(['status', '--address', address]), { status: 1, stdout: '', stderr: `nothing listens at http://${address}: start the gateway with 'admin' in its document, or name another address with --address or PENSTOCK_ADMIN` })
})

for (const { desc, args, environment, stderr } of [
  { desc: 'no consumer', args: ['keys', 'create'], stderr: /--consumer/ },
  { desc: 'a consumer with a slash', args: ['keys', 'create', '--consumer', 'a/b'], stderr: /letters, digits/ },
  { desc: 'a time without its zone', args: ['keys', 'create', '--consumer', 'a', '--expires', '2030-01-01T00:00'], stderr: /with its zone: 2030-01-31T00:00:00Z/ },
  { desc: 'a day that is none', args: ['keys', 'create', '--consumer', 'a', '--expires', '2030-13-01'], stderr: /ISO 8601/ },
  { desc: 'an address with a path', args: ['status', '--address', '127.0.0.1:9000/admin'], stderr: /host:port/ },
  { desc: 'an address with a password', args: ['status', '--address', 'http://a:b@127.0.0.1:9000'], stderr: /host:port/ },
  { desc: 'a token with a line end', args: ['status'], environment: { PENSTOCK_ADMIN_TOKEN: 'hunter2\nx: y' }, stderr: /visible ASCII/ },
  { desc: 'the key itself in place of its id', args: ['keys', 'revoke', 'pk_hunter2'], stderr: /this is a key, not the id of one/ },
  { desc: 'a command that is not there', args: ['keys', 'rotate'], stderr: /unknown command/ },
]) {
  t.test(`bad usage: ${desc}; exit code 2`, async t => {
    const ran = await run(args, (environment ?? {}) as Record<string, string>)
    t.equal(ran.status, 2)
    t.match(ran.stderr, stderr)
    t.notMatch(ran.stderr, 'hunter2')
    t.equal(ran.stdout, '')
  })
}
