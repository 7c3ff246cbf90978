import fc from 'fast-check'
import t from 'tap'
import { CircuitBreaker, type CircuitBreakerConfig, REFUSED } from '../../src/upstream/circuit-breaker.ts'

const config: CircuitBreakerConfig = { failureRatio: 0.5, windowMs: 10_000, minRequests: 4, openMs: 5000, halfOpenRequests: 2 }

/** Sends one request that ends at once. */
function send(breaker: CircuitBreaker, isFailure: boolean, nowMs: number): ReturnType<CircuitBreaker['record']> {
  return breaker.record(breaker.tryAcquire(nowMs), isFailure, nowMs)
}

function cancel(breaker: CircuitBreaker, ticket: number): null {
  breaker.cancel(ticket)
  return null
}

/** One that opened at 1000. */
function openBreaker(): CircuitBreaker {
  const breaker = new CircuitBreaker(config)
  for (let index = 0; index < 4; index++) send(breaker, true, 1000)
  return breaker
}

for (const { desc, outcomes, stepMs = 0, failureRatio = 0.5, want } of [
  { desc: 'is closed at first', outcomes: '', want: 'closed' },
  { desc: 'stays closed under the least number of requests', outcomes: 'FFF', want: 'closed' },
  { desc: 'opens when all fail', outcomes: 'FFFF', want: 'open' },
  { desc: 'opens at the very ratio', outcomes: 'SSFF', want: 'open' },
  { desc: 'stays closed under it', outcomes: 'SSSFF', want: 'closed' },
  { desc: 'does not open by a success', outcomes: 'FFSS', want: 'closed' },
  { desc: 'opens by the failure behind it', outcomes: 'FFSSF', want: 'open' },
  { desc: 'forgets failures older than the window', outcomes: 'FFFF', stepMs: 4000, want: 'closed' },
  { desc: 'keeps those within it', outcomes: 'FFFF', stepMs: 2900, want: 'open' },
  { desc: 'stays closed by a ratio of 1 when one succeeded', outcomes: 'SFFFF', failureRatio: 1, want: 'closed' },
  { desc: 'opens by a ratio of 1 when none did', outcomes: 'FFFF', failureRatio: 1, want: 'open' },
]) {
  t.test(desc, async t => {
    const breaker = new CircuitBreaker({ ...config, failureRatio })
    let nowMs = 1000
    let last: string = 'closed'
    for (const outcome of outcomes) last = send(breaker, outcome === 'F', nowMs += stepMs) ?? last
    t.equal(breaker.state, want)
    t.equal(last, want, 'the last change was told')
  })
}

t.test('refuses while it is open, and says until when', async t => {
  const breaker = openBreaker()
  t.equal(breaker.tryAcquire(1000), REFUSED)
  t.equal(breaker.retryAfterMs(1000), 5000)
  t.equal(breaker.tryAcquire(5999), REFUSED)
  t.equal(breaker.retryAfterMs(5999), 1)
  t.equal(breaker.state, 'open')
  t.equal(breaker.retryAfterMs(6000), 0)
  t.not(breaker.tryAcquire(6000), REFUSED)
  t.equal(breaker.state, 'half-open')
  t.equal(breaker.retryAfterMs(6000), 0)
})

t.test('lets a few through while it is half open, another one for each that ends', async t => {
  const breaker = openBreaker()
  const first = breaker.tryAcquire(6000)
  t.not(breaker.tryAcquire(6000), REFUSED)
  t.equal(breaker.tryAcquire(6000), REFUSED)
  t.equal(breaker.record(first, false, 6001), null)
  t.not(breaker.tryAcquire(6001), REFUSED)
  t.equal(breaker.tryAcquire(6001), REFUSED)
})

t.test('closes by so many successes, with nothing held against it', async t => {
  const breaker = openBreaker()
  t.equal(send(breaker, false, 6000), null)
  t.equal(send(breaker, false, 6000), 'closed')
  for (let index = 0; index < 3; index++) t.equal(send(breaker, true, 6000), null)
  t.equal(send(breaker, true, 6000), 'open')
})

t.test('opens again by one failure, for as long as before', async t => {
  const breaker = openBreaker()
  t.equal(send(breaker, false, 6000), null)
  t.equal(send(breaker, true, 6100), 'open')
  t.equal(breaker.retryAfterMs(6100), 5000)
  t.equal(breaker.tryAcquire(11_099), REFUSED)
  t.equal(send(breaker, false, 11_100), null, 'the success before it does not count any more')
  t.equal(send(breaker, false, 11_100), 'closed')
})

t.test('a cancelled request makes room for another one and counts for nothing', async t => {
  const breaker = openBreaker()
  for (let index = 0; index < 10; index++) {
    const ticket = breaker.tryAcquire(6000)
    t.not(ticket, REFUSED)
    breaker.cancel(ticket)
  }
  t.equal(breaker.state, 'half-open')
  const closed = new CircuitBreaker(config)
  for (let index = 0; index < 10; index++) closed.cancel(closed.tryAcquire(1000))
  for (let index = 0; index < 3; index++) t.equal(send(closed, true, 1000), null)
})

t.test('requests from before it opened change nothing any more', async t => {
  const breaker = new CircuitBreaker(config)
  const [early, late, left] = [breaker.tryAcquire(1000), breaker.tryAcquire(1000), breaker.tryAcquire(1000)]
  for (let index = 0; index < 4; index++) send(breaker, true, 1000)
  t.equal(breaker.record(early, false, 1001), null, 'open')
  const trials = [breaker.tryAcquire(6000), breaker.tryAcquire(6000)]
  t.equal(breaker.record(late, true, 6001), null, 'half open: neither opens it')
  breaker.cancel(left)
  t.equal(breaker.tryAcquire(6001), REFUSED, 'nor makes room')
  t.equal(breaker.record(trials[0]!, false, 6002), null)
  t.equal(breaker.record(early, false, 6002), null, 'nor closes it')
  t.equal(breaker.record(trials[1]!, false, 6002), 'closed')
})

t.test('nor do trials that end after another one opened it', async t => {
  const breaker = openBreaker()
  const slow = breaker.tryAcquire(6000)
  t.equal(send(breaker, true, 6000), 'open')
  const next = breaker.tryAcquire(11_000)
  t.equal(breaker.record(slow, true, 11_000), null)
  t.equal(breaker.state, 'half-open')
  t.equal(breaker.record(next, false, 11_000), null)
  t.equal(send(breaker, false, 11_000), 'closed')
})

t.test('in any order: never too many trials, each change told, and only by a trial', async t => {
  const step = fc.record({
    act: fc.constantFrom('acquire', 'acquire', 'succeed', 'fail', 'cancel'),
    which: fc.nat(1000),
    pauseMs: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 0, max: 300 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 6000 }) }),
  })
  const seen = new Set<string>()
  fc.assert(fc.property(fc.array(step, { maxLength: 300, size: 'max' }), steps => {
    const breaker = new CircuitBreaker(config)
    let underWay: { ticket: number; isTrial: boolean }[] = []
    let nowMs = 1000
    for (const { act, which, pauseMs } of steps) {
      nowMs += pauseMs
      const before = breaker.state
      if (act === 'acquire') {
        const ticket = breaker.tryAcquire(nowMs)
        if (ticket === REFUSED && before === 'closed') return false
        if (ticket !== REFUSED) underWay.push({ ticket, isTrial: breaker.state === 'half-open' })
      } else if (underWay.length > 0) {
        const [{ ticket, isTrial }] = underWay.splice(which % underWay.length, 1) as [{ ticket: number; isTrial: boolean }]
        const told = act === 'cancel' ? cancel(breaker, ticket) : breaker.record(ticket, act === 'fail', nowMs)
        if (told !== (breaker.state === before ? null : breaker.state)) return false
        if (before === 'half-open' && told !== null && !isTrial) return false
        // What goes on from a state that has ended is no trial of the next half-open one.
        if (told !== null) underWay = underWay.map(({ ticket }) => ({ ticket, isTrial: false }))
      }
      if (breaker.state !== before) seen.add(`${before}>${breaker.state}`)
      if (underWay.filter(request => request.isTrial).length > config.halfOpenRequests) return false
    }
    return true
  }), { seed: 20_240, numRuns: 1000 })
  t.strictSame([...seen].sort(), ['closed>open', 'half-open>closed', 'half-open>open', 'open>half-open'])
})
