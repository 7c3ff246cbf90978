import { existsSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'

const TOKEN = 'correct-horse-battery'
const admin = { address: '127.0.0.1:0', token: TOKEN }
const routes = [{ id: 'a', match: { path: '/a' }, mock: { body: 'a' } }]

async function adminOf(gateway: GatewayProcess): Promise<(method: string, path: string, body?: object) => Promise<{ status: number; body: Record<string, unknown> }>> {
  const { url } = await gateway.event(['adminListens'])
  return async (method, path, body) => {
    const response = await fetch(`${String(url)}${path}`, {
      method, headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' }, body: body === undefined ? null : JSON.stringify(body),
    })
    return { status: response.status, body: await response.json() as Record<string, unknown> }
  }
}

t.test('a gateway with an admin API: its status, its keys over a restart, and no second one on its data', { timeout: 120_000 }, async t => {
  const config = { admin, upstreams: { u: { endpoints: ['http://127.0.0.1:1'], health: { type: 'tcp', intervalMs: 50, unhealthyAfter: 1 } } }, routes }
  const gateway = await GatewayProcess.start(config)
  const ask = await adminOf(gateway)
  await gateway.event(['endpointUnhealthy'])
  const { body: status } = await ask('GET', '/admin/status')
  t.match(status, {
    version: /^[0-9a-f]{16}$/, uptimeMs: Number, workers: { configured: 1, ready: 1 },
    upstreams: { u: { endpoints: [{ url: 'http://127.0.0.1:1', isHealthy: false }] } },
  })
  t.equal((await ask('POST', '/admin/consumers', { id: 'acme' })).status, 201)
  const { body: key } = await ask('POST', '/admin/consumers/acme/keys', {})
  t.match(await gateway.event(['keyCreated']), { key: key['id'], consumer: 'acme' })
  t.notMatch(JSON.stringify(gateway.log), String(key['key']).slice(3), 'the key is in no log')
  t.notMatch(JSON.stringify(gateway.log), TOKEN)

  const dataDirectory = join(gateway.folder, 'data')
  await t.rejects(GatewayProcess.start({ admin: { ...admin }, dataDirectory, routes }), /in use by process/)
  const reloaded = await gateway.reload({ ...config, admin: null, routes: [...routes, { id: 'b', match: { path: '/b' }, mock: {} }] })
  t.equal(reloaded.event, 'published')
  t.match(await gateway.event(['restartNeeded']), { keys: ['/admin'] })
  const { body: after } = await ask('GET', '/admin/status')
  t.equal(after['version'], reloaded['version'])
  t.not(after['version'], status['version'])

  gateway.process.kill('SIGKILL')
  await new Promise(resolve => gateway.process.once('close', resolve))
  const next = await GatewayProcess.start({ admin, dataDirectory, routes })
  const askNext = await adminOf(next)
  t.match((await askNext('GET', '/admin/keys')).body, { items: [{ id: key['id'], consumer: 'acme', state: 'valid' }], next: null })
  t.equal(await next.stop(), 0)
  t.strictSame(readdirSync(dataDirectory).filter(name => !name.startsWith('identities-')), [], 'its lock is gone')
  await gateway.stop()
})

t.test('without an admin API, nothing is made in the data directory', async t => {
  const gateway = await GatewayProcess.start({ routes })
  t.equal((await fetch(`${gateway.urls[0]}/a`)).status, 200)
  t.notOk(existsSync(join(gateway.folder, 'data')))
  t.equal(await gateway.stop(), 0)
})

t.test('a port that is taken is an error at the start, with the remedy', async t => {
  const gateway = await GatewayProcess.start({ admin, routes })
  const { url } = await gateway.event(['adminListens'])
  const address = new URL(String(url)).host
  await t.rejects(GatewayProcess.start({ admin: { ...admin, address }, routes }), /cannot listen on .*another process listens there/)
  t.equal(await gateway.stop(), 0)
})

t.test('while it drains, the status is there still; then the gateway ends with 0', async t => {
  let finish = (): void => {}
  let onArrival = (): void => {}
  const arrived = new Promise<void>(resolve => { onArrival = resolve })
  const upstream = createServer((_request, response) => {
    finish = () => response.end('late')
    onArrival()
  })
  await new Promise<void>(resolve => upstream.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(upstream.address() as { port: number }).port}`
  const gateway = await GatewayProcess.start({ admin, drainTimeoutMs: 60_000, upstreams: { u: { endpoints: [url] } }, routes: [{ id: 'a', match: { path: '/a' }, upstream: 'u' }] })
  const ask = await adminOf(gateway)
  const open = fetch(`${gateway.urls[0]}/a`)
  await arrived
  const exit = new Promise(resolve => gateway.process.once('close', resolve))
  gateway.process.kill('SIGTERM')
  await gateway.event(['draining'])
  t.equal((await ask('GET', '/admin/status')).status, 200)
  finish()
  t.equal((await open).status, 200)
  await exit
  t.equal(gateway.process.exitCode, 0)
  await gateway.stop()
  await new Promise(resolve => upstream.close(resolve))
})
