import t from 'tap'
import type { RouteConfig } from '../../src/config/schema.ts'
import { Delays, Fault, fault, type FaultConfig } from '../../src/policies/fault.ts'
import type { Answer, PolicyDeps, PolicyExchange } from '../../src/policies/policy.ts'
import { fakeExchange } from '../support/policy-exchange.ts'
import { Random } from '../support/random.ts'

const NONE: FaultConfig = { header: null, delay: null, abort: null }

const exchangeOf = (lines: Readonly<Record<string, string>> = {}): PolicyExchange => fakeExchange({ headers: lines })
const DEPS: PolicyDeps = { nowMs: () => 0, auth: { authenticators: new Map(), identityHeaders: [] }, limits: null as never }

/** Timers that run when a test says so. */
function faultOf(config: Partial<FaultConfig>, { random = (): number => 0, maxWaiting = 10 } = {}) {
  const timers: { ms: number; run: () => void }[] = []
  const delays = new Delays(maxWaiting, (ms, run) => { timers.push({ ms, run }) })
  return { policy: new Fault({ ...NONE, ...config }, { random, delays }), timers }
}

const routeWith = (config?: Partial<FaultConfig>): RouteConfig => ({ fault: config && { ...NONE, ...config } }) as unknown as RouteConfig

t.test('a route without faults has no policy', async t => {
  t.equal(fault.create(routeWith(), DEPS), null)
  t.equal(fault.create(routeWith({ header: 'x-fault' }), DEPS), null)
  t.not(fault.create(routeWith({ abort: { status: 503, ratio: 1 } }), DEPS), null)
})

t.test('an abort is a problem that tells its code', async t => {
  const { policy } = faultOf({ abort: { status: 503, ratio: 1 } })
  const answer = policy.onRequest(exchangeOf()) as Answer
  t.equal(answer.status, 503)
  t.equal(answer.headers.get('content-type'), 'application/problem+json')
  t.strictSame(JSON.parse(Buffer.from(answer.body).toString()), {
    type: 'about:blank', title: 'Service Unavailable', status: 503, code: 'GW_FAULT_INJECTED',
  })
})

t.test('a status that has no body is answered without one', async t => {
  const answer = faultOf({ abort: { status: 204, ratio: 1 } }).policy.onRequest(exchangeOf()) as Answer
  t.strictSame([answer.status, answer.body.length, answer.headers.lines], [204, 0, []])
})

for (const { desc, lines, isAborted } of [
  { desc: 'with the header', lines: { 'x-fault': '' }, isAborted: true },
  { desc: 'without the header', lines: { 'x-else': '1' }, isAborted: false },
]) {
  t.test(`only requests that have the header: ${desc}`, async t => {
    const { policy } = faultOf({ header: 'x-fault', abort: { status: 500, ratio: 1 } })
    t.equal(policy.onRequest(exchangeOf(lines)) !== null, isAborted)
  })
}

for (const ratio of [0, 0.1, 0.5, 1]) {
  t.test(`aborts and delays a share of ${ratio}, each drawn by itself`, async t => {
    const random = new Random(3)
    const { policy, timers } = faultOf(
      { delay: { ms: 5, ratio }, abort: { status: 500, ratio } }, { random: () => random.next(), maxWaiting: Infinity },
    )
    const count = 4000
    const verdicts = Array.from({ length: count }, () => policy.onRequest(exchangeOf()))
    const delayed = verdicts.filter(verdict => verdict instanceof Promise)
    t.equal(timers.length, delayed.length)
    for (const { run } of timers) run()
    const aborted = (await Promise.all(verdicts)).filter(verdict => verdict !== null)
    const both = (await Promise.all(delayed)).filter(verdict => verdict !== null)
    t.ok(Math.abs(delayed.length / count - ratio) < 0.03)
    t.ok(Math.abs(aborted.length / count - ratio) < 0.03)
    t.ok(Math.abs(both.length / count - ratio * ratio) < 0.03)
  })
}

t.test('a delay comes before the abort', async t => {
  const { policy, timers } = faultOf({ delay: { ms: 70, ratio: 1 }, abort: { status: 502, ratio: 1 } })
  const verdict = policy.onRequest(exchangeOf())
  t.type(verdict, Promise)
  t.equal(timers[0]!.ms, 70)
  timers[0]!.run()
  t.equal((await verdict as Answer).status, 502)
})

t.test('no more than so many wait; beyond that there is no delay', async t => {
  const { policy, timers } = faultOf({ delay: { ms: 1, ratio: 1 } }, { maxWaiting: 2 })
  const isHeldUp = (): boolean => policy.onRequest(exchangeOf()) instanceof Promise
  t.strictSame([isHeldUp(), isHeldUp(), isHeldUp()], [true, true, false])
  timers[0]!.run()
  t.strictSame([isHeldUp(), isHeldUp()], [true, false], 'one that went on makes room')
})

t.test('the policy of a route waits by the clock of the system', async t => {
  const policy = fault.create(routeWith({ delay: { ms: 1, ratio: 1 } }), DEPS)!
  // The timer of a delay alone keeps no thread alive.
  const keepAlive = setInterval(() => {}, 1000)
  t.equal(await policy.onRequest!(exchangeOf()), null)
  clearInterval(keepAlive)
})
