import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { RemoteJwks } from '../../../src/policies/auth/remote-jwks.ts'
import { answeringServer } from '../../support/answering-server.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const jwkOf = (kid: string): Record<string, unknown> => ({ ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }), kid })
const first = jwkOf('first')
const second = jwkOf('second')

async function setUp(t: { teardown(run: () => Promise<void>): void }) {
  const state = { status: 200, body: JSON.stringify({ keys: [first] }) }
  const server = await answeringServer((_request, response) => {
    response.statusCode = state.status
    response.end(state.body)
  })
  t.teardown(server.close)
  const clock = new ManualClock()
  const source = new RemoteJwks({ url: `${server.url}/jwks.json`, refreshMs: 60_000, timeoutMs: 30_000, nowMs: () => clock.nowMs() })
  return { state, clock, source, fetches: () => server.asked.length }
}

t.test('many requests at the start fetch once; then keys are answered without a promise', async t => {
  const { source, fetches } = await setUp(t)
  const found = await Promise.all(Array.from({ length: 20 }, () => source.keyFor('first', 'ES256')))
  t.ok(found.every(key => key !== null && key !== 'unavailable'))
  t.equal(fetches(), 1)
  t.notOk(source.keyFor('first', 'ES256') instanceof Promise)
  t.equal(source.keyFor('first', 'ES384'), null, 'a key is for its own algorithm')
})

t.test('an unknown key id fetches once in 30 s', async t => {
  const { source, state, clock, fetches } = await setUp(t)
  await source.keyFor('first', 'ES256')
  for (let i = 0; i < 50; i++) t.equal(source.keyFor(`made-up-${i}`, 'ES256'), null)
  t.equal(fetches(), 1, 'the keys are fresh')
  state.body = JSON.stringify({ keys: [first, second] })
  clock.advance(30_000)
  t.not(await source.keyFor('second', 'ES256'), null)
  t.equal(fetches(), 2)
  t.equal(source.keyFor('made-up', 'ES256'), null)
  t.equal(fetches(), 2)
})

t.test('old keys are fetched again beside the requests', async t => {
  const { source, state, clock, fetches } = await setUp(t)
  await source.keyFor('first', 'ES256')
  state.body = JSON.stringify({ keys: [second] })
  clock.advance(60_000)
  t.notOk(source.keyFor('first', 'ES256') instanceof Promise, 'the request does not wait')
  // Another asks for what is on its way, and so waits for it.
  t.not(await source.keyFor('second', 'ES256'), null)
  t.equal(fetches(), 2)
  t.equal(source.keyFor('first', 'ES256'), null, 'a key that the issuer has taken back is gone')
})

t.test('the last good keys go on while the issuer is down', async t => {
  const { source, state, clock, fetches } = await setUp(t)
  await source.keyFor('first', 'ES256')
  for (const [status, body] of [[500, ''], [200, 'no JSON'], [200, '{}'], [200, '{"keys":[{"kty":"oct","k":"AAAA"}]}'], [302, ''], [200, `{"keys":[],"x":"${'x'.repeat(300_000)}"}`]] as const) {
    Object.assign(state, { status, body })
    clock.advance(120_000)
    const found = await source.keyFor('first', 'ES256')
    t.ok(found !== null && found !== 'unavailable', `${status} ${body.slice(0, 20)}`)
    t.type(source.problem, 'string')
  }
  const before = fetches()
  await source.keyFor('first', 'ES256')
  t.equal(fetches(), before, 'and it is not asked at every request')
})

t.test('an issuer that was never there: unavailable, and tried once a second', async t => {
  const { source, state, clock, fetches } = await setUp(t)
  state.status = 503
  t.equal(await source.keyFor('first', 'ES256'), 'unavailable')
  t.equal(source.keyFor('first', 'ES256'), 'unavailable')
  t.equal(fetches(), 1)
  state.status = 200
  clock.advance(1000)
  t.not(await source.keyFor('first', 'ES256'), 'unavailable')
  t.equal(source.problem, null)
})
