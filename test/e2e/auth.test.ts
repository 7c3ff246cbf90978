import { createHash, generateKeyPairSync } from 'node:crypto'
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import t from 'tap'
import { CountingUpstream } from '../support/counting-upstream.ts'
import { GatewayProcess } from '../support/gateway-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-auth-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
writeFileSync(join(folder, 'public.pem'), publicKey.export({ type: 'spki', format: 'pem' }))
const tokenOf = (claims: Record<string, unknown>): Promise<string> => new SignJWT(claims).setProtectedHeader({ alg: 'RS256' }).setExpirationTime('5m').sign(privateKey)
const freePort = (): Promise<number> => new Promise(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as AddressInfo
    server.close(() => resolve(port))
  })
})

const upstream = await CountingUpstream.start((response, _number, request) => response.end(JSON.stringify(request.headers)))
const adminPort = await freePort()
const documentKey = 'a-key-of-the-document'
const gateway = await GatewayProcess.start({
  workers: 2,
  admin: { address: `127.0.0.1:${adminPort}`, token: 'a-token-of-sixteen' },
  dataDirectory: join(folder, 'data'),
  authenticators: {
    local: { type: 'jwt', publicKey: join(folder, 'public.pem'), algorithms: ['RS256'], setHeaders: { 'x-user': '{claim.sub}' } },
    keys: { type: 'api-key', in: 'header:x-api-key' },
  },
  plans: { gold: { requestsPerSecond: 100, burstRequests: 200 } },
  consumers: [{ id: 'acme', plan: 'gold', groups: ['partners'], keys: [`sha256:${createHash('sha256').update(documentKey).digest('hex')}`] }],
  upstreams: { u: { endpoints: [upstream.url] } },
  routes: [
    { id: 'open', match: { path: '/open' }, upstream: 'u' },
    { id: 'any', match: { path: '/any' }, auth: { anyOf: ['local', 'keys'] }, request: { headers: { set: { 'x-consumer': '{consumer.id}', 'x-plan': '{consumer.plan}' } } }, upstream: 'u' },
    { id: 'partners', match: { path: '/partners' }, auth: { anyOf: ['local', 'keys'], groups: ['partners'] }, upstream: 'u' },
    { id: 'scoped', match: { path: '/scoped' }, auth: { anyOf: ['local'], scopes: ['users:read'] }, upstream: 'u' },
  ],
})
t.teardown(async () => { await gateway.stop(); await upstream.stop() })

async function ask(path: string, headers: Record<string, string> = {}): Promise<{ status: number; seen: Record<string, string>; body: string; headers: Headers }> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { headers })
  const body = await response.text()
  return { status: response.status, body, seen: response.status === 200 ? JSON.parse(body) as Record<string, string> : {}, headers: response.headers }
}
async function admin(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
    method, headers: { authorization: 'Bearer a-token-of-sixteen', ...(body !== undefined && { 'content-type': 'application/json' }) }, ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  t.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return text === '' ? {} : JSON.parse(text) as Record<string, unknown>
}

t.test('nobody gets in without a credential, and is told how', async t => {
  const { status, body, headers } = await ask('/any')
  t.equal(status, 401)
  t.match(body, 'GW_UNAUTHENTICATED')
  t.match(headers.get('www-authenticate'), /Bearer.*ApiKey/s)
  t.equal((await ask('/any', { 'x-api-key': 'no such key' })).status, 401)
  t.equal((await ask('/any', { authorization: 'Bearer x.y.z' })).status, 401)
})

t.test('a token: its claims travel on, and what a client says of itself does not', async t => {
  const { status, seen } = await ask('/any', { authorization: `Bearer ${await tokenOf({ sub: 'acme' })}`, 'x-user': 'root' })
  t.equal(status, 200)
  t.match(seen, { 'x-user': 'acme', 'x-consumer': 'acme', 'x-plan': 'gold' })
  t.equal((await ask('/open', { 'x-user': 'root' })).seen['x-user'], undefined, 'also on an open route')
})

t.test('a key of the document; the upstream does not see it', async t => {
  const { status, seen } = await ask('/any', { 'x-api-key': documentKey })
  t.equal(status, 200)
  t.equal(seen['x-consumer'], 'acme')
  t.equal(seen['x-api-key'], undefined)
})

t.test('groups and scopes', async t => {
  const stranger = `Bearer ${await tokenOf({ sub: 'stranger', scope: 'users:write' })}`
  t.equal((await ask('/partners', { authorization: stranger })).status, 403)
  t.equal((await ask('/partners', { 'x-api-key': documentKey })).status, 200)
  t.equal((await ask('/scoped', { authorization: stranger })).status, 403)
  t.equal((await ask('/scoped', { authorization: `Bearer ${await tokenOf({ sub: 's', scope: 'users:read other' })}` })).status, 200)
})

t.test('a key made at run time holds at once, on every worker, and is refused in under a second when it is revoked', async t => {
  await admin('POST', '/admin/consumers', { id: 'late', plan: 'gold' })
  const made = await admin('POST', '/admin/consumers/late/keys', {})
  const key = String(made['key'])
  for (let i = 0; i < 20; i++) t.equal((await ask('/any', { 'x-api-key': key })).seen['x-consumer'], 'late')
  await admin('DELETE', `/admin/keys/${String(made['id'])}`)
  const revokedMs = performance.now()
  let isAdmitted = true
  while (isAdmitted) {
    isAdmitted = false
    for (let i = 0; i < 8; i++) if ((await ask('/any', { 'x-api-key': key, connection: 'close' })).status === 200) isAdmitted = true
  }
  t.ok(performance.now() - revokedMs < 1000)
})

t.test('the access log knows the consumer', async t => {
  await gateway.until(() => gateway.accessLog.some(line => line['route'] === 'any' && line['consumer'] === 'acme'))
  t.notMatch(JSON.stringify(gateway.accessLog), /a-key-of-the-document|eyJ/)
})
