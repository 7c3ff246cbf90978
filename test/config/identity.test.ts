import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, type ConfigProblem } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'
import type { Snapshot } from '../../src/config/snapshot.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-identity-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
writeFileSync(join(folder, 'rsa.pem'), rsa.publicKey.export({ type: 'spki', format: 'pem' }))
writeFileSync(join(folder, 'private.pem'), rsa.privateKey.export({ type: 'pkcs8', format: 'pem' }))
writeFileSync(join(folder, 'weak.pem'), generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ type: 'spki', format: 'pem' }))
writeFileSync(join(folder, 'none.pem'), 'hello')
execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=a', '-keyout', '/dev/null', '-out', join(folder, 'cert.pem')], { stdio: 'ignore' })

const SECRET = 'a secret of at least thirty-two bytes'
const DIGEST = `sha256:${'ab'.repeat(32)}`
const hash = (cost: number): string => `scrypt:${cost}:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}`

function load(document: unknown): Snapshot {
  const file = join(folder, 'p.json')
  writeFileSync(file, JSON.stringify(document))
  return loadSnapshot(file, { SECRET: 'hunter2' })
}

function problemsOf(document: unknown): readonly ConfigProblem[] {
  try {
    load(document)
    return []
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    return cause.problems
  }
}

const one = (config: unknown): unknown => ({ authenticators: { a: config } })
const jwt = (config: Record<string, unknown>): unknown => one({ type: 'jwt', algorithms: ['RS256'], ...config })
const route = (config: Record<string, unknown>): unknown => ({ authenticators: { issuer: { type: 'api-key' } }, routes: [{ id: 'r', match: { path: '/' }, mock: {}, ...config }] })

for (const [desc, document] of [
  ['a public key', jwt({ publicKey: 'rsa.pem', algorithms: ['RS256', 'PS512'] })],
  ['a certificate as public key', jwt({ publicKey: 'cert.pem' })],
  ['a shared secret', jwt({ secret: SECRET, algorithms: ['HS256'] })],
  ['a JWK set', jwt({ jwks: { keys: [rsa.publicKey.export({ format: 'jwk' }), ec.publicKey.export({ format: 'jwk' })] }, algorithms: ['RS256', 'ES256'] })],
  ['all kinds as CONFIG.md has them', {
    authenticators: {
      issuer: { type: 'jwt', jwksUrl: 'https://issuer.example.com/jwks.json', issuer: 'https://issuer.example.com', audience: 'api', algorithms: ['RS256', 'ES256'], clockToleranceMs: 5000, consumerClaim: 'sub', cacheTtlMs: 300_000 },
      local: { type: 'jwt', publicKey: 'rsa.pem', algorithms: ['RS256'] },
      keys: { type: 'api-key', in: 'header:x-api-key', cacheTtlMs: 60_000 },
      opaque: { type: 'introspection', url: 'https://issuer.example.com/introspect', clientId: 'gw', clientSecret: '${SECRET}', cacheTtlMs: 30_000 },
      edge: { type: 'forward', url: 'http://127.0.0.1:7000/check', copyHeaders: ['x-user-id'], cacheTtlMs: 0 },
      basic: { type: 'basic', users: { alice: hash(15) } },
    },
    plans: { gold: { requestsPerSecond: 100, burstRequests: 200, quota: { requests: 1_000_000, per: 'month' } } },
    consumers: [{ id: 'acme', plan: 'gold', groups: ['partners'], keys: [DIGEST, { digest: DIGEST.replace('ab', 'AC'), expiresAt: '2027-01-01T00:00:00+01:00' }] }],
    routes: [{
      id: 'r', match: { path: '/' }, mock: {}, auth: { anyOf: ['issuer', 'keys'], groups: ['partners'], scopes: ['users:read'] }, ip: { allow: ['10.0.0.0/8'], deny: [] },
      request: { headers: { set: { 'x-plan': '{consumer.plan}', 'x-who': '{consumer.id} {claim.https://example.com/role}' } } },
    }],
  }],
] as const) t.test(`takes ${desc}`, async t => t.strictSame(problemsOf(document), []))

const refusals: [desc: string, document: unknown, pointer: string, message: RegExp][] = [
  ['an unknown type', one({ type: 'oauth' }), '/authenticators/a/type', /'jwt' or 'api-key'/],
  ['no type', one({}), '/authenticators/a/type', /missing.*'jwt'/],
  ['mtls', one({ type: 'mtls' }), '/authenticators/a/type', /not supported yet/],
  ['clientCa', { listeners: [{ address: '127.0.0.1:0', tls: { clientCa: 'a', certificates: [] } }] }, '/listeners/0/tls/clientCa', /not supported yet/],
  ['a key that no authenticator has', one({ type: 'api-key', inn: 'header:a' }), '/authenticators/a/inn', /did you mean 'in'/],
  ['alg none', jwt({ publicKey: 'rsa.pem', algorithms: ['none'] }), '/authenticators/a/algorithms/0', /'RS256'/],
  ['no algorithm', jwt({ publicKey: 'rsa.pem', algorithms: [] }), '/authenticators/a/algorithms', /at least one/],
  ['no algorithms', one({ type: 'jwt', publicKey: 'rsa.pem' }), '/authenticators/a/algorithms', /missing/],
  ['no key', jwt({}), '/authenticators/a', /has no key/],
  ['two keys', jwt({ publicKey: 'rsa.pem', secret: SECRET }), '/authenticators/a', /publicKey and secret/],
  ['HS256 with a public key', jwt({ publicKey: 'rsa.pem', algorithms: ['RS256', 'HS256'] }), '/authenticators/a/algorithms/1', /needs 'secret'/],
  ['HS256 with a JWK set', jwt({ jwksUrl: 'https://a/', algorithms: ['HS256'] }), '/authenticators/a/algorithms/0', /needs 'secret'/],
  ['RS256 with a secret', jwt({ secret: SECRET }), '/authenticators/a/algorithms/0', /needs a public key/],
  ['a secret shorter than the hash', jwt({ secret: SECRET, algorithms: ['HS256', 'HS512'] }), '/authenticators/a/secret', /at least 64 bytes/],
  ['ES256 with an RSA key', jwt({ publicKey: 'rsa.pem', algorithms: ['ES256'] }), '/authenticators/a/algorithms/0', /does not fit this public key/],
  ['a private key', jwt({ publicKey: 'private.pem' }), '/authenticators/a/publicKey', /private key/],
  ['a key of 1024 bits', jwt({ publicKey: 'weak.pem' }), '/authenticators/a/publicKey', /2048/],
  ['a file without a key', jwt({ publicKey: 'none.pem' }), '/authenticators/a/publicKey', /no public key/],
  ['a file that is not there', jwt({ publicKey: 'no.pem' }), '/authenticators/a/publicKey', /no such file/],
  ['a symmetric key in a set', jwt({ jwks: { keys: [{ kty: 'oct', k: 'AAAA' }] } }), '/authenticators/a/jwks/keys/0', /symmetric/],
  ['a set whose keys do not fit', jwt({ jwks: { keys: [ec.publicKey.export({ format: 'jwk' })] } }), '/authenticators/a/algorithms/0', /'ES256'/],
  ['a URL that is none', jwt({ jwksUrl: 'issuer' }), '/authenticators/a/jwksUrl', /not an http/],
  ['a URL with a password', one({ type: 'forward', url: 'http://u:hunter3@a/' }), '/authenticators/a/url', /\[redacted\].*credentials/],
  ['a password in clear', one({ type: 'basic', users: { a: 'password' } }), '/authenticators/a/users/a', /scrypt:/],
  ['users with different costs', one({ type: 'basic', users: { a: hash(15), b: hash(14) } }), '/authenticators/a/users/b', /tells who exists/],
  ['a cost beyond memory', one({ type: 'basic', users: { a: hash(20) } }), '/authenticators/a/users/a', /64 MiB/],
  ['no users', one({ type: 'basic', users: {} }), '/authenticators/a/users', /at least one/],
  ['a short secret of hmac', one({ type: 'hmac', secrets: { k: 'short' } }), '/authenticators/a/secrets/k', /32 bytes/],
  ['a header of identity that clients authenticate by', one({ type: 'forward', url: 'http://a/', copyHeaders: ['Authorization'] }), '/authenticators/a/copyHeaders/0', /credentials/],
  ['a header of identity that is the gateway\'s', one({ type: 'api-key', setHeaders: { host: 'a' } }), '/authenticators/a/setHeaders/host', /gateway's own/],
  ['a template that is not known there', one({ type: 'api-key', setHeaders: { a: '{path}' } }), '/authenticators/a/setHeaders/a', /\{path\} is not known/],
  ['a consumer twice', { consumers: [{ id: 'a' }, { id: 'a' }] }, '/consumers/1/id', /taken/],
  ['a plan that is not defined', { plans: { gold: { requestsPerSecond: 1, burstRequests: 1 } }, consumers: [{ id: 'a', plan: 'golf' }] }, '/consumers/0/plan', /did you mean 'gold'/],
  ['a key in clear', { consumers: [{ id: 'a', keys: ['my-key'] }] }, '/consumers/0/keys/0', /sha256:/],
  ['one key of two consumers', { consumers: [{ id: 'a', keys: [DIGEST] }, { id: 'b', keys: [DIGEST.toUpperCase().replace('SHA', 'sha')] }] }, '/consumers/1/keys/0', /same key as \/consumers\/0\/keys\/0/],
  ['an end that is no time', { consumers: [{ id: 'a', keys: [{ digest: DIGEST, expiresAt: 'soon' }] }] }, '/consumers/0/keys/0/expiresAt', /2027-01-31/],
  ['an authenticator that is not defined', route({ auth: { anyOf: ['isuer'] } }), '/routes/0/auth/anyOf/0', /did you mean 'issuer'/],
  ['one in both lists', route({ auth: { anyOf: ['issuer'], allOf: ['issuer'] } }), '/routes/0/auth/allOf/0', /already/],
  ['auth without authenticators', route({ auth: { groups: ['a'] } }), '/routes/0/auth', /anyOf/],
  ['a range that is none', route({ ip: { deny: ['10.0.0.0/40'] } }), '/routes/0/ip/deny/0', /prefix/],
  ['ip without addresses', route({ ip: {} }), '/routes/0/ip', /no effect/],
  ['who asks, where nobody does', route({ request: { headers: { set: { a: '{consumer.id}' } } } }), '/routes/0/request/headers/set/a', /always empty/],
  ['a name that is no name', { authenticators: JSON.parse('{"__proto__":{"type":"api-key"}}') as unknown }, '/authenticators/__proto__', /./],
]
for (const [desc, document, pointer, message] of refusals) {
  t.test(`refuses ${desc}`, async t => {
    const problems = problemsOf(document)
    t.match(problems.find(problem => problem.pointer === pointer)?.message, message, JSON.stringify(problems))
    for (const secret of ['hunter3', SECRET, 'ab'.repeat(32)]) t.notOk(JSON.stringify(problems.map(each => each.message)).includes(secret))
  })
}

t.test('a public key travels with the snapshot, under its absolute name', async t => {
  const { document, files } = load(jwt({ publicKey: 'rsa.pem' }))
  const config = document.authenticators.a!
  const name = config.type === 'jwt' ? config.publicKey! : ''
  t.equal(name, join(folder, 'rsa.pem'))
  t.match(files[name], /BEGIN PUBLIC KEY/)
})
