import { createHmac, createPublicKey, generateKeyPairSync, type KeyObject, sign as signBytes } from 'node:crypto'
import t from 'tap'
import { exportJWK } from 'jose'
import { Failure } from '../../../src/base/failure.ts'
import { type AuthenticatorOf, authenticator } from '../../../src/config/schema-identity.ts'
import { algorithmsOf, readJwk, type VerificationKey } from '../../../src/config/verification-key.ts'
import type { Admitted, AuthResult } from '../../../src/policies/auth/authenticator.ts'
import type { VerifiedClaims } from '../../../src/policies/auth/claims-identity.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { FixedKeys, type JwksSource, SingleKey } from '../../../src/policies/auth/jwks-source.ts'
import { JwtAuthenticator } from '../../../src/policies/auth/jwt.ts'
import { TokenCache } from '../../../src/policies/auth/token-cache.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

/** 2027-01-15T08:00:00Z, in seconds. */
const NOW = 1_800_000_000
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const otherRsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' })
const k256 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
const ed = generateKeyPairSync('ed25519')
const SECRET = 'a secret of at least thirty-two bytes'

const base64url = (value: unknown): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs by node's crypto, so that what jose would never make can be made too. */
function token(header: Record<string, unknown>, claims: unknown, key: KeyObject | string | null): string {
  const text = `${base64url(header)}.${base64url(claims)}`
  if (key === null) return `${text}.`
  if (typeof key === 'string') return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`
  if (key.asymmetricKeyType === 'rsa') return `${text}.${signBytes('sha256', Buffer.from(text), key).toString('base64url')}`
  if (key.asymmetricKeyType === 'ed25519') return `${text}.${signBytes(null, Buffer.from(text), key).toString('base64url')}`
  const hash = key.asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 'sha384' : 'sha256'
  return `${text}.${signBytes(hash, Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

const asKey = (key: KeyObject, id: string | null): VerificationKey => ({ id, key, algorithms: algorithmsOf(key) })
const configOf = (config: Record<string, unknown>): AuthenticatorOf<'jwt'> =>
  authenticator.parse({ type: 'jwt', algorithms: ['RS256'], secret: 'x', ...config }) as AuthenticatorOf<'jwt'>

function setUp(config: Record<string, unknown> = {}, keys: JwksSource = new SingleKey(rsa.publicKey), seconds = NOW) {
  let nowMs = seconds * 1000
  let asked = 0
  const counting: JwksSource = { problem: keys.problem, keyFor: (kid, algorithm) => { asked++; return keys.keyFor(kid, algorithm) } }
  const directory = new IdentityDirectory([{ id: 'acme', plan: 'gold', groups: ['partners'], keys: [] }], () => nowMs)
  const cache = new TokenCache<VerifiedClaims>()
  const jwt = new JwtAuthenticator('issuer', configOf(config), { keys: counting, directory, cache, epochMs: () => nowMs })
  return {
    jwt, cache,
    advance: (ms: number) => { nowMs += ms },
    get verifications() { return asked },
    verify: (text: string): AuthResult | Promise<AuthResult> => jwt.verify(fakeExchange({ headers: { authorization: `Bearer ${text}` } })),
  }
}

const isAdmitted = (result: AuthResult): result is Admitted => result !== 'absent' && !(result instanceof Failure)
const claims = { sub: 'acme', exp: NOW + 60 }
const good = token({ alg: 'RS256' }, claims, rsa.privateKey)

for (const { desc, algorithms, keys, text } of [
  { desc: 'RS256', algorithms: ['RS256'], keys: new SingleKey(rsa.publicKey), text: good },
  { desc: 'ES256', algorithms: ['ES256'], keys: new SingleKey(p256.publicKey), text: token({ alg: 'ES256' }, claims, p256.privateKey) },
  { desc: 'ES384', algorithms: ['ES384'], keys: new SingleKey(p384.publicKey), text: token({ alg: 'ES384' }, claims, p384.privateKey) },
  { desc: 'EdDSA', algorithms: ['EdDSA'], keys: new SingleKey(ed.publicKey), text: token({ alg: 'EdDSA' }, claims, ed.privateKey) },
  { desc: 'HS256', algorithms: ['HS256'], keys: new SingleKey(Buffer.from(SECRET)), text: token({ alg: 'HS256' }, claims, SECRET) },
  { desc: 'a key by its id', algorithms: ['RS256'], keys: new FixedKeys([asKey(otherRsa.publicKey, 'a'), asKey(rsa.publicKey, 'b')]), text: token({ alg: 'RS256', kid: 'b' }, claims, rsa.privateKey) },
  { desc: 'the one key that fits a token without id', algorithms: ['RS256', 'ES256'], keys: new FixedKeys([asKey(p256.publicKey, 'a'), asKey(rsa.publicKey, 'b')]), text: good },
]) {
  t.test(`admits ${desc}`, async t => {
    const result = await setUp({ algorithms }, keys).verify(text)
    t.ok(isAdmitted(result), JSON.stringify(result))
    if (isAdmitted(result)) t.strictSame([result.subject, result.consumer?.plan], ['acme', 'gold'])
  })
}

const [head = '', body = '', signature = ''] = good.split('.')
const embedded = { ...otherRsa.publicKey.export({ format: 'jwk' }), kid: 'a' }
const publicPem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string
const rsaAndEc = new FixedKeys([asKey(rsa.publicKey, 'rsa'), asKey(p256.publicKey, 'ec')])

type Attack = { desc: string; text: string; config?: Record<string, unknown>; keys?: JwksSource; cause?: RegExp }
const attacks: Attack[] = [
  { desc: 'alg none without a signature (RFC 8725 section 2.1)', text: token({ alg: 'none' }, claims, null), cause: /malformed/ },
  { desc: 'alg None in other letters', text: token({ alg: 'nOnE' }, claims, null), cause: /malformed/ },
  { desc: 'alg none with the signature of a good token', text: `${base64url({ alg: 'none' })}.${body}.${signature}`, cause: /algorithm/ },
  { desc: 'no alg at all', text: token({ typ: 'JWT' }, claims, rsa.privateKey) },
  { desc: 'alg that is no text', text: token({ alg: ['RS256'] }, claims, rsa.privateKey) },
  { desc: 'HS256 with the public key in PEM as its secret (RFC 8725 section 2.1)', text: token({ alg: 'HS256' }, claims, publicPem), cause: /algorithm/ },
  { desc: 'HS256 with the public key as its secret, even where a document accepted both', text: token({ alg: 'HS256' }, claims, publicPem), config: { algorithms: ['RS256', 'HS256'] } },
  { desc: 'RS256 where the key is a shared secret', text: good, config: { algorithms: ['HS256', 'RS256'] }, keys: new SingleKey(Buffer.from(SECRET)) },
  { desc: 'HS256 for a key of a set', text: token({ alg: 'HS256', kid: 'rsa' }, claims, publicPem), config: { algorithms: ['RS256', 'HS256'] }, keys: rsaAndEc, cause: /no key/ },
  { desc: 'another RSA algorithm than the document accepts', text: token({ alg: 'PS256' }, claims, rsa.privateKey), cause: /algorithm/ },
  { desc: 'the id of a key of another kind', text: token({ alg: 'RS256', kid: 'ec' }, claims, rsa.privateKey), config: { algorithms: ['RS256', 'ES256'] }, keys: rsaAndEc, cause: /no key/ },
  { desc: 'a curve that the algorithm is not for', text: token({ alg: 'ES256' }, claims, p384.privateKey), config: { algorithms: ['ES256'] }, keys: new SingleKey(p256.publicKey) },
  { desc: 'ES256 signed on secp256k1', text: token({ alg: 'ES256' }, claims, k256.privateKey), config: { algorithms: ['ES256'] }, keys: new SingleKey(p256.publicKey) },
  { desc: 'an ES256 signature of zeros (CVE-2022-21449)', text: `${base64url({ alg: 'ES256' })}.${body}.${Buffer.alloc(64).toString('base64url')}`, config: { algorithms: ['ES256'] }, keys: new SingleKey(p256.publicKey), cause: /signature/ },
  { desc: 'an ES256 signature in DER', text: `${base64url({ alg: 'ES256' })}.${body}.${signBytes('sha256', Buffer.from(`${base64url({ alg: 'ES256' })}.${body}`), p256.privateKey).toString('base64url')}`, config: { algorithms: ['ES256'] }, keys: new SingleKey(p256.publicKey) },
  { desc: 'another key', text: token({ alg: 'RS256' }, claims, otherRsa.privateKey), cause: /wrong signature/ },
  { desc: 'changed claims under an old signature', text: `${head}.${base64url({ ...claims, sub: 'admin' })}.${signature}`, cause: /wrong signature/ },
  { desc: 'a changed header under an old signature', text: `${base64url({ alg: 'RS256', x: 1 })}.${body}.${signature}`, cause: /wrong signature/ },
  { desc: 'a signature cut off', text: `${head}.${body}.${signature.slice(0, -8)}` },
  { desc: 'an empty signature', text: `${head}.${body}.` },
  { desc: 'two parts', text: `${head}.${body}` },
  { desc: 'four parts', text: `${good}.${signature}` },
  { desc: 'five parts, as an encrypted token', text: `${head}.${body}.${signature}.${body}.${signature}` },
  { desc: 'parts doubled', text: `${head}.${head}.${body}.${signature}` },
  { desc: 'three empty parts', text: '..' },
  { desc: 'the JSON serialisation', text: JSON.stringify({ protected: head, payload: body, signature }) },
  { desc: 'two tokens in one header', text: `${good}, Bearer ${good}` },
  { desc: 'a space in a part', text: `${head}.${body}. ${signature}` },
  { desc: 'a spelling with bits that nothing reads, as another token', text: `${head}.${body}.${signature}A` },
  { desc: 'padding', text: `${head}.${body}.${signature}==` },
  { desc: 'base64 in the other alphabet', text: `${head}.${body}.${Buffer.from(signature, 'base64url').toString('base64')}` },
  { desc: 'a header that is no JSON', text: `${base64url('{alg')}.${body}.${signature}` },
  { desc: 'a header that is a list', text: `${base64url(['RS256'])}.${body}.${signature}` },
  { desc: 'claims that are no object', text: token({ alg: 'RS256' }, '"acme"', rsa.privateKey) },
  { desc: 'claims that are a list', text: token({ alg: 'RS256' }, ['acme'], rsa.privateKey) },
  { desc: 'claims that are no JSON', text: token({ alg: 'RS256' }, '{', rsa.privateKey) },
  { desc: 'crit with an extension that nobody knows (RFC 7515 section 4.1.11)', text: token({ alg: 'RS256', crit: ['x'], x: 1 }, claims, rsa.privateKey) },
  { desc: 'crit with a name that the header has not', text: token({ alg: 'RS256', crit: ['x'] }, claims, rsa.privateKey) },
  { desc: 'an empty crit', text: token({ alg: 'RS256', crit: [] }, claims, rsa.privateKey) },
  { desc: 'crit with a name of the standard', text: token({ alg: 'RS256', crit: ['alg'] }, claims, rsa.privateKey) },
  { desc: 'an unencoded payload (RFC 7797 section 7)', text: token({ alg: 'RS256', crit: ['b64'], b64: false }, claims, rsa.privateKey) },
  { desc: 'a key of its own in the header (RFC 7515 section 4.1.3)', text: token({ alg: 'RS256', jwk: embedded }, claims, otherRsa.privateKey), cause: /wrong signature/ },
  { desc: 'a certificate of its own in the header', text: token({ alg: 'RS256', x5c: ['MIIB'] }, claims, otherRsa.privateKey), cause: /wrong signature/ },
  { desc: 'a URL of its own for keys', text: token({ alg: 'RS256', jku: 'http://127.0.0.1:1/', x5u: 'http://127.0.0.1:1/' }, claims, otherRsa.privateKey), cause: /wrong signature/ },
  { desc: 'a key id that is a path', text: token({ alg: 'RS256', kid: '../../../../dev/null' }, claims, otherRsa.privateKey), keys: rsaAndEc, cause: /no key/ },
  { desc: 'a key id that every object has', text: token({ alg: 'RS256', kid: '__proto__' }, claims, rsa.privateKey), keys: rsaAndEc, cause: /no key/ },
  { desc: 'a key id that is no text', text: token({ alg: 'RS256', kid: { a: 1 } }, claims, rsa.privateKey), keys: rsaAndEc, cause: /no key/ },
  { desc: 'a key id of null', text: token({ alg: 'RS256', kid: null }, claims, rsa.privateKey), keys: rsaAndEc, cause: /no key/ },
  { desc: 'a key id of 300 characters', text: token({ alg: 'RS256', kid: 'a'.repeat(300) }, claims, rsa.privateKey), keys: rsaAndEc, cause: /no key/ },
  { desc: 'no key id where two keys fit', text: good, keys: new FixedKeys([asKey(rsa.publicKey, 'a'), asKey(otherRsa.publicKey, 'b')]), cause: /no key/ },
  { desc: 'a key id that two keys have', text: token({ alg: 'RS256', kid: 'a' }, claims, rsa.privateKey), keys: new FixedKeys([asKey(rsa.publicKey, 'a'), asKey(otherRsa.publicKey, 'a')]), cause: /no key/ },
  { desc: 'a token of 9000 characters', text: token({ alg: 'RS256' }, { ...claims, x: 'x'.repeat(7000) }, rsa.privateKey), cause: /too long/ },
  { desc: 'a header nested 1000 deep', text: `${base64url(`{"alg":"RS256","x":${'['.repeat(1000)}${']'.repeat(1000)}}`)}.${body}.${signature}`, cause: /wrong signature/ },
  { desc: 'exp that is text', text: token({ alg: 'RS256' }, { ...claims, exp: String(NOW + 60) }, rsa.privateKey), cause: /claim exp/ },
  { desc: 'nbf that is text', text: token({ alg: 'RS256' }, { ...claims, nbf: '0' }, rsa.privateKey), cause: /claim nbf/ },
  { desc: 'no exp where it is required', text: token({ alg: 'RS256' }, { sub: 'acme' }, rsa.privateKey), config: { requiredClaims: ['exp'] }, cause: /claim exp/ },
  { desc: 'another issuer', text: token({ alg: 'RS256' }, { ...claims, iss: 'evil' }, rsa.privateKey), config: { issuer: 'good' }, cause: /claim iss/ },
  { desc: 'no issuer', text: good, config: { issuer: 'good' }, cause: /claim iss/ },
  { desc: 'issuers in a list', text: token({ alg: 'RS256' }, { ...claims, iss: ['good'] }, rsa.privateKey), config: { issuer: 'good' }, cause: /claim iss/ },
  { desc: 'another audience', text: token({ alg: 'RS256' }, { ...claims, aud: 'other' }, rsa.privateKey), config: { audience: 'api' }, cause: /claim aud/ },
  { desc: 'a list of other audiences', text: token({ alg: 'RS256' }, { ...claims, aud: ['other', 'api2'] }, rsa.privateKey), config: { audience: 'api' }, cause: /claim aud/ },
  { desc: 'no audience', text: good, config: { audience: 'api' }, cause: /claim aud/ },
  { desc: 'a type for something else (RFC 8725 section 3.11)', text: token({ alg: 'RS256', typ: 'secevent+jwt' }, claims, rsa.privateKey), config: { tokenType: 'at+jwt' } },
]
for (const { desc, text, config = {}, keys, cause = /^jwt: / } of attacks) {
  t.test(`refuses ${desc}`, async t => {
    const result = await setUp(config, keys).verify(text)
    t.ok(result instanceof Failure, JSON.stringify(result))
    if (!(result instanceof Failure)) return
    t.equal(result.code, 'GW_UNAUTHENTICATED')
    t.match(result.cause, cause)
    if (text.length > 40) t.notOk(result.cause!.includes(text.slice(0, 20)), 'nothing of the token is logged')
  })
}

for (const { desc, aud, audience } of [
  { desc: 'one of several', aud: ['a', 'api'], audience: 'api' },
  { desc: 'one that the document has in a list', aud: 'api', audience: ['x', 'api'] },
]) {
  t.test(`audience: ${desc}`, async t => t.ok(isAdmitted(await setUp({ audience }).verify(token({ alg: 'RS256' }, { ...claims, aud }, rsa.privateKey)))))
}

for (const { desc, extra, clockToleranceMs, admits } of [
  { desc: 'exp in a second', extra: { exp: NOW + 1 }, clockToleranceMs: 0, admits: true },
  { desc: 'exp now', extra: { exp: NOW }, clockToleranceMs: 0, admits: false },
  { desc: 'exp within the tolerance', extra: { exp: NOW - 4 }, clockToleranceMs: 5000, admits: true },
  { desc: 'exp at the end of the tolerance', extra: { exp: NOW - 5 }, clockToleranceMs: 5000, admits: false },
  { desc: 'nbf now', extra: { nbf: NOW }, clockToleranceMs: 0, admits: true },
  { desc: 'nbf in a second', extra: { nbf: NOW + 1 }, clockToleranceMs: 0, admits: false },
  { desc: 'nbf at the end of the tolerance', extra: { nbf: NOW + 5 }, clockToleranceMs: 5000, admits: true },
  { desc: 'nbf behind the tolerance', extra: { nbf: NOW + 6 }, clockToleranceMs: 5000, admits: false },
]) {
  t.test(`time: ${desc}`, async t => {
    const result = await setUp({ clockToleranceMs }).verify(token({ alg: 'RS256' }, { ...claims, ...extra }, rsa.privateKey))
    t.equal(isAdmitted(result), admits)
  })
}

t.test('a verified token is answered without a promise, and never beyond its exp', async t => {
  const it = setUp({ clockToleranceMs: 2000, cacheTtlMs: 300_000 })
  t.ok(it.verify(good) instanceof Promise)
  await it.verify(good)
  t.notOk(it.verify(good) instanceof Promise)
  t.equal(it.verifications, 1, 'of two at the same time one verified')
  it.advance(61_999)
  t.ok(isAdmitted(it.verify(good) as AuthResult), 'the last millisecond')
  it.advance(1)
  const late = it.verify(good)
  t.ok(late instanceof Promise)
  t.ok(await late instanceof Failure)
})

t.test('cacheTtlMs: a token is looked at again after it; 0: every time', async t => {
  const short = setUp({ cacheTtlMs: 1000 })
  await short.verify(good)
  short.advance(1000)
  await short.verify(good)
  t.equal(short.verifications, 2)
  const none = setUp({ cacheTtlMs: 0 })
  await none.verify(good)
  await none.verify(good)
  t.equal(none.verifications, 2)
  t.equal(none.cache.counts.good, 0)
})

t.test('a wrong signature is remembered for a while, an unknown key is not', async t => {
  const bad = token({ alg: 'RS256' }, claims, otherRsa.privateKey)
  const it = setUp()
  await it.verify(bad)
  await it.verify(bad)
  t.equal(it.verifications, 1)
  it.advance(5000)
  await it.verify(bad)
  t.equal(it.verifications, 2)
  const unknown = setUp({}, rsaAndEc)
  const text = token({ alg: 'RS256', kid: 'new' }, claims, rsa.privateKey)
  await unknown.verify(text)
  await unknown.verify(text)
  t.equal(unknown.verifications, 2)
})

t.test('a token that is not valid yet is let in as soon as it is', async t => {
  const it = setUp({ clockToleranceMs: 0 })
  const text = token({ alg: 'RS256' }, { ...claims, nbf: NOW + 2 }, rsa.privateKey)
  t.ok(await it.verify(text) instanceof Failure)
  it.advance(2000)
  t.ok(isAdmitted(await it.verify(text)))
})

t.test('keys that can\'t be had are no refusal of the token', async t => {
  const it = setUp({}, { problem: 'ECONNREFUSED', keyFor: () => 'unavailable' })
  const result = await it.verify(good)
  t.match(result, { code: 'GW_AUTH_UNAVAILABLE', cause: /ECONNREFUSED/ })
  await it.verify(good)
  t.equal(it.verifications, 2, 'not remembered')
})

for (const { desc, headers, config, want } of [
  { desc: 'no header', headers: {}, config: {}, want: 'absent' },
  { desc: 'another scheme', headers: { authorization: 'Basic YTpi' }, config: {}, want: 'absent' },
  { desc: 'two spaces behind the scheme', headers: { authorization: `Bearer  ${good}` }, config: {}, want: 'admitted' },
  { desc: 'the scheme in other letters', headers: { authorization: `bEARER ${good}` }, config: {}, want: 'admitted' },
  { desc: 'a header of its own', headers: { 'x-token': good }, config: { in: 'header:X-Token' }, want: 'admitted' },
  { desc: 'a cookie', headers: { cookie: `a=b; session=${good}` }, config: { in: 'cookie:session' }, want: 'admitted' },
  { desc: 'a scheme without a token', headers: { authorization: 'Bearer ' }, config: {}, want: 'refused' },
]) {
  t.test(`place: ${desc}`, async t => {
    const result = await setUp(config).jwt.verify(fakeExchange({ headers: headers as Record<string, string> }))
    t.equal(result === 'absent' ? 'absent' : result instanceof Failure ? 'refused' : 'admitted', want)
  })
}

t.test('scopes, claims and headers', async t => {
  for (const [name, value] of [['scope', 'a b'], ['scp', ['a', 'b']], ['scp', 'a b']] as const) {
    const result = await setUp({ setHeaders: { 'x-user': '{subject}/{consumer.id}/{claim.level}' } }).verify(token({ alg: 'RS256' }, { ...claims, sub: 'someone\r\n', client: 'acme', level: 7, [name]: value }, rsa.privateKey))
    t.ok(isAdmitted(result))
    if (!isAdmitted(result)) continue
    t.strictSame(result.scopes, ['a', 'b'])
    t.equal(result.consumer, null)
    t.strictSame(result.upstreamHeaders, [['x-user', 'someone%0D%0A//7']])
  }
  const byClaim = await setUp({ consumerClaim: 'client' }).verify(token({ alg: 'RS256' }, { ...claims, sub: 's', client: 'acme' }, rsa.privateKey))
  t.match(byClaim, { subject: 's', consumer: { id: 'acme' } })
})

t.test('keys of a JWK set that could do harm are not read', async t => {
  const jwk = await exportJWK(rsa.publicKey)
  t.notOk('problem' in readJwk({ ...jwk, kid: 'a' }))
  for (const bad of [
    { kty: 'oct', k: 'AAAA' }, { ...jwk, d: 'x' }, { ...jwk, use: 'enc' }, { ...jwk, key_ops: ['encrypt'] }, { ...jwk, kid: 7 }, { kty: 'RSA' },
    { ...jwk, alg: 'HS256' }, { ...jwk, n: 'AQAB' },
    await exportJWK(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey), await exportJWK(createPublicKey(k256.publicKey.export({ type: 'spki', format: 'pem' }))),
  ]) t.ok('problem' in readJwk(bad as Record<string, unknown>), JSON.stringify(bad))
})
