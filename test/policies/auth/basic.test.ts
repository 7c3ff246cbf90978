import t from 'tap'
import { Failure } from '../../../src/base/failure.ts'
import type { PasswordHash } from '../../../src/config/password-hash.ts'
import { authenticator, type AuthenticatorOf } from '../../../src/config/schema-identity.ts'
import type { AuthResult } from '../../../src/policies/auth/authenticator.ts'
import { BasicAuthenticator } from '../../../src/policies/auth/basic.ts'
import { IdentityDirectory } from '../../../src/policies/auth/identity-directory.ts'
import { type DeriveKey, hashPassword, PasswordChecks } from '../../../src/policies/auth/password-check.ts'
import { TokenCache } from '../../../src/policies/auth/token-cache.ts'
import { fakeExchange } from '../../support/policy-exchange.ts'

const users = { alice: await hashPassword('wonder:land', 4), bob: await hashPassword('übel', 4) }
const basicOf = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`

function setUp(config: Record<string, unknown> = {}, checks = new PasswordChecks()) {
  let nowMs = 1_000_000
  const directory = new IdentityDirectory([{ id: 'alice', plan: 'gold', groups: [], keys: [] }], () => nowMs)
  const basic = new BasicAuthenticator('people', authenticator.parse({ type: 'basic', users, ...config }) as AuthenticatorOf<'basic'>, { directory, cache: new TokenCache(), checks, epochMs: () => nowMs })
  return { basic, advance: (ms: number) => { nowMs += ms }, verify: (authorization: string): AuthResult | Promise<AuthResult> => basic.verify(fakeExchange({ headers: { authorization } })) }
}

for (const { desc, authorization, want } of [
  { desc: 'the right password, with a colon in it', authorization: basicOf('alice:wonder:land'), want: 'alice' },
  { desc: 'a password that is not ASCII', authorization: basicOf('bob:übel'), want: 'bob' },
  { desc: 'the scheme in other letters', authorization: basicOf('bob:übel').replace('Basic', 'bASIC'), want: 'bob' },
  { desc: 'a wrong password', authorization: basicOf('alice:x'), want: 'refused' },
  { desc: 'another user\'s password', authorization: basicOf('alice:übel'), want: 'refused' },
  { desc: 'an empty password', authorization: basicOf('alice:'), want: 'refused' },
  { desc: 'no colon', authorization: basicOf('alice'), want: 'refused' },
  { desc: 'an unknown user', authorization: basicOf('mallory:wonder:land'), want: 'refused' },
  { desc: 'a name that every object has', authorization: basicOf('__proto__:x'), want: 'refused' },
  { desc: 'the hash in place of the password', authorization: basicOf(`alice:${users.alice}`), want: 'refused' },
  { desc: 'no base64', authorization: 'Basic ?', want: 'refused' },
  { desc: 'another scheme', authorization: 'Bearer abc', want: 'absent' },
  { desc: 'a very long one', authorization: basicOf(`alice:${'x'.repeat(1000)}`), want: 'refused' },
]) {
  t.test(desc, async t => {
    const result = await setUp().verify(authorization)
    t.equal(result === 'absent' ? result : result instanceof Failure ? 'refused' : result.subject, want)
    if (result instanceof Failure) t.equal(result.code, 'GW_UNAUTHENTICATED')
    if (want === 'alice') t.match(result, { consumer: { plan: 'gold' } })
  })
}

t.test('a password that was right is believed without scrypt for cacheTtlMs', async t => {
  const it = setUp({ cacheTtlMs: 1000 })
  await it.verify(basicOf('bob:übel'))
  t.notOk(it.verify(basicOf('bob:übel')) instanceof Promise)
  t.ok(it.verify(basicOf('bob:x')) instanceof Promise, 'this one, and no other')
  it.advance(1000)
  t.ok(it.verify(basicOf('bob:übel')) instanceof Promise)
})

t.test('the same work whether a user exists: one run of scrypt with the same cost', async t => {
  const runs: string[] = []
  const derive: DeriveKey = async (_password, { cost, blockSize, parallelization, salt, hash }: PasswordHash) => {
    runs.push([cost, blockSize, parallelization, salt.length, hash.length].join())
    return Buffer.alloc(hash.length)
  }
  const failures: unknown[] = []
  for (const user of ['alice', 'nobody', 'constructor']) failures.push({ ...await setUp({}, new PasswordChecks(derive)).verify(basicOf(`${user}:x`)) as Failure })
  t.equal(runs.length, 3)
  t.equal(new Set(runs).size, 1, runs.join(' '))
  t.strictSame(failures[0], failures[1])
})

t.test('runs of scrypt are bounded, and what waits for one', async t => {
  let running = 0
  let most = 0
  const finishers: (() => void)[] = []
  const derive: DeriveKey = (_password, { hash }) => {
    most = Math.max(most, ++running)
    return new Promise(resolve => finishers.push(() => { running--; resolve(Buffer.alloc(hash.length)) }))
  }
  const it = setUp({}, new PasswordChecks(derive, { maxRunning: 2, maxWaiting: 3 }))
  const asked = Array.from({ length: 8 }, (_, i) => it.verify(basicOf(`alice:${i}`)))
  const results: Promise<AuthResult[]> = Promise.all(asked)
  let done = false
  void results.then(() => { done = true })
  while (!done) {
    await new Promise(resolve => setImmediate(resolve))
    finishers.shift()?.()
  }
  t.equal(most, 2)
  t.strictSame((await results).map(result => (result as Failure).code).sort(), [...Array(3).fill('GW_AUTH_UNAVAILABLE'), ...Array(5).fill('GW_UNAUTHENTICATED')])
})

t.test('the password does not travel on, a token of somebody else does', async t => {
  const { basic } = setUp()
  for (const [authorization, kept] of [[basicOf('bob:übel'), false], ['Bearer abc', true]] as const) {
    const exchange = fakeExchange({ headers: { authorization } })
    basic.takeCredential(exchange)
    t.equal(exchange.request.headers.get('authorization') !== undefined, kept)
  }
})
