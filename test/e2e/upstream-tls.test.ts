import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import { makeCertificate } from '../support/certificates.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-upstream-tls-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const serverPair = makeCertificate(folder, 'server', ['users.internal'])
const otherPair = makeCertificate(folder, 'other', ['users.internal'])
const clientPair = makeCertificate(folder, 'client', ['gateway'])
const route = { id: 'all', match: { path: '/{rest+}' }, upstream: 'u' }

/** Tells who it thinks the client is, whether the session was resumed, and the name it was asked for. */
const server = createServer({
  cert: readFileSync(serverPair.cert), key: readFileSync(serverPair.key), ca: readFileSync(clientPair.cert), requestCert: true, rejectUnauthorized: false,
}, (request, response) => {
  const socket = request.socket as TLSSocket & { servername?: string }
  const subject = socket.getPeerCertificate().subject as { CN?: string } | undefined
  response.setHeader('connection', 'close')
  response.end(JSON.stringify({ client: subject?.CN ?? null, isResumed: socket.isSessionReused(), name: socket.servername ?? null }))
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
t.teardown(() => server.close())
const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

const configWith = (tls: object): object => ({ accessLog: null, upstreams: { u: { endpoints: [url], tls, retries: { attempts: 1 } } }, routes: [route] })
async function ask(gateway: GatewayProcess): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}/x`)
  return { status: response.status, body: await response.json() as Record<string, unknown> }
}

for (const { desc, tls, want } of [
  { desc: 'an authority that is not trusted is refused', tls: { serverName: 'users.internal' }, want: { status: 502, body: { code: 'GW_UPSTREAM_TLS' } } },
  { desc: 'a name that the certificate has not is refused', tls: { ca: serverPair.cert, serverName: 'orders.internal' }, want: { status: 502, body: { code: 'GW_UPSTREAM_TLS' } } },
  { desc: 'an address that it has not is refused', tls: { ca: serverPair.cert }, want: { status: 502, body: { code: 'GW_UPSTREAM_TLS' } } },
  { desc: 'authority and name as configured', tls: { ca: serverPair.cert, serverName: 'users.internal' }, want: { status: 200, body: { client: null, name: 'users.internal' } } },
  { desc: 'with a client certificate', tls: { ca: serverPair.cert, serverName: 'users.internal', ...clientPair }, want: { status: 200, body: { client: 'gateway' } } },
  { desc: 'anything, when that is asked for', tls: { rejectUnauthorized: false }, want: { status: 200, body: { client: null } } },
]) {
  t.test(desc, async t => {
    const gateway = await GatewayProcess.start(configWith(tls))
    t.teardown(() => gateway.stop())
    t.match(await ask(gateway), want)
  })
}

t.test('a second connection resumes the session of the first', async t => {
  const gateway = await GatewayProcess.start(configWith({ ca: serverPair.cert, serverName: 'users.internal' }))
  t.teardown(() => gateway.stop())
  t.equal((await ask(gateway)).body['isResumed'], false)
  t.equal((await ask(gateway)).body['isResumed'], true)
})

t.test('a certificate that is renewed is taken over on a reload', async t => {
  const gateway = await GatewayProcess.start(configWith({ ca: otherPair.cert, serverName: 'users.internal' }))
  t.teardown(() => gateway.stop())
  t.equal((await ask(gateway)).status, 502)
  await gateway.reload(configWith({ ca: serverPair.cert, serverName: 'users.internal' }))
  t.equal((await ask(gateway)).status, 200)
})
