import fc from 'fast-check'
import t from 'tap'
import { RetryBudget } from '../../src/upstream/retry-budget.ts'

const WINDOW_MS = 10_000

/** How many of `tries` are allowed at a time after so many requests; each is under way until the end unless `isEnded`. */
function allowed({ budgetRatio, requests, areRequestsEnded, tries, isEnded }:
{ budgetRatio: number; requests: number; areRequestsEnded: boolean; tries: number; isEnded: boolean }): number {
  const budget = new RetryBudget(budgetRatio)
  for (let index = 0; index < requests; index++) budget.onRequest(1000)
  if (areRequestsEnded) for (let index = 0; index < requests; index++) budget.onRequestEnd()
  let count = 0
  for (let index = 0; index < tries; index++) {
    if (!budget.tryRetry(1000)) continue
    count++
    if (isEnded) budget.onRetryEnd()
  }
  return count
}

for (const { desc, budgetRatio = 0.2, requests, areRequestsEnded = false, isEnded = false, want } of [
  { desc: 'allows three where there is no request', requests: 0, want: 3 },
  { desc: 'allows three to one request', requests: 1, want: 3 },
  { desc: 'allows a fifth of those under way', requests: 100, want: 20 },
  { desc: 'allows three at a time where none are under way', requests: 100, areRequestsEnded: true, want: 3 },
  { desc: 'allows a fifth and three in the window', requests: 100, isEnded: true, want: 23 },
  { desc: 'allows no more than that when all have ended', requests: 100, areRequestsEnded: true, isEnded: true, want: 23 },
  { desc: 'a fraction of a retry is none', requests: 9, isEnded: true, want: 4 },
  { desc: 'a ratio of 0 leaves three', budgetRatio: 0, requests: 100, isEnded: true, want: 3 },
  { desc: 'a ratio of 1 allows one each', budgetRatio: 1, requests: 100, want: 100 },
]) {
  t.test(desc, async t => t.equal(allowed({ budgetRatio, requests, areRequestsEnded, tries: 500, isEnded }), want))
}

t.test('a retry that ends makes room for another one', async t => {
  const budget = new RetryBudget(0.2)
  for (let index = 0; index < 10; index++) budget.onRequest(1000)
  for (let index = 0; index < 3; index++) t.equal(budget.tryRetry(1000), true)
  t.equal(budget.tryRetry(1000), false)
  budget.onRetryEnd()
  t.equal(budget.tryRetry(1000), true)
})

t.test('what is spent comes back after the window, and not before', async t => {
  const budget = new RetryBudget(0)
  const retry = (nowMs: number) => {
    const isAllowed = budget.tryRetry(nowMs)
    if (isAllowed) budget.onRetryEnd()
    return isAllowed
  }
  for (let index = 0; index < 3; index++) t.equal(retry(1000), true)
  t.equal(retry(10_999), false)
  t.equal(retry(12_200), true)
})

t.test('requests stand for retries for ten seconds at most', async t => {
  const budget = new RetryBudget(1)
  for (let index = 0; index < 50; index++) budget.onRequest(1000)
  let count = 0
  while (budget.tryRetry(11_000)) {
    count++
    budget.onRetryEnd()
  }
  t.equal(count, 3)
})

type Step = { act: 'request' | 'requestEnd' | 'retry' | 'retryEnd'; pauseMs: number }

/** Plays `steps` and gives the times of requests and of retries that were allowed. */
function play(budgetRatio: number, steps: readonly Step[], onRetry: (requests: number[], retries: number[], inFlight: [number, number], nowMs: number) => boolean) {
  const budget = new RetryBudget(budgetRatio)
  const [requests, retries]: [number[], number[]] = [[], []]
  let [requestsInFlight, retriesInFlight] = [0, 0]
  let nowMs = 1000
  for (const { act, pauseMs } of steps) {
    nowMs += pauseMs
    if (act === 'request') {
      budget.onRequest(nowMs)
      requests.push(nowMs)
      requestsInFlight++
    } else if (act === 'requestEnd' && requestsInFlight > 0) {
      budget.onRequestEnd()
      requestsInFlight--
    } else if (act === 'retry' && budget.tryRetry(nowMs)) {
      retries.push(nowMs)
      retriesInFlight++
      if (!onRetry(requests, retries, [requestsInFlight, retriesInFlight], nowMs)) return null
    } else if (act === 'retryEnd' && retriesInFlight > 0) {
      budget.onRetryEnd()
      retriesInFlight--
    }
  }
  return { requests, retries, lastMs: nowMs }
}

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom('request', 'request', 'requestEnd', 'retry', 'retry', 'retry', 'retryEnd', 'retryEnd'),
  pauseMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.integer({ min: 0, max: 400 }) }, { weight: 1, arbitrary: fc.integer({ min: 0, max: 12_000 }) }),
})
const steps = fc.array(step, { maxLength: 1000, size: 'max' })
const budgetRatio = fc.double({ min: 0, max: 1, noNaN: true })
// Sums in floating point.
const SLACK = 1e-9

t.test('each retry keeps to both bounds', async t => {
  let fullWindows = 0
  fc.assert(fc.property(budgetRatio, steps, (ratio, steps) => play(ratio, steps, (requests, retries, [requestsInFlight, retriesInFlight], nowMs) => {
    const within = (times: number[]) => times.filter(atMs => atMs > nowMs - WINDOW_MS).length
    const bound = ratio * within(requests) + 3
    if (within(retries) + 1 > bound) fullWindows++
    return retriesInFlight - 1 < Math.max(3, ratio * requestsInFlight) && within(retries) <= bound + SLACK
  }) !== null), { seed: 20_240, numRuns: 500 })
  t.ok(fullWindows > 100, `the bound was met ${fullWindows} times`)
})

t.test('in T seconds retries are at most the ratio of requests and three for each ten seconds', async t => {
  fc.assert(fc.property(budgetRatio, steps, (ratio, steps) => {
    const { requests, retries, lastMs } = play(ratio, steps, () => true)!
    const windows = Math.floor((lastMs - 1000) / WINDOW_MS) + 1
    return retries.length <= ratio * requests.length + 3 * windows + SLACK
  }), { seed: 20_240, numRuns: 500 })
  t.pass()
})

t.test('with everything failing, the upstream gets at most 1.2 times the requests and three in ten seconds', async t => {
  const budget = new RetryBudget(0.2)
  let sent = 0
  const requests = 60_000
  for (let index = 0; index < requests; index++) {
    const nowMs = 1000 + index
    budget.onRequest(nowMs)
    sent++
    // Would try twice more, each failing at once.
    for (let retry = 0; retry < 2 && budget.tryRetry(nowMs); retry++) {
      sent++
      budget.onRetryEnd()
    }
    budget.onRequestEnd()
  }
  t.ok(sent <= 1.2 * requests + 3 * 6, String(sent))
  t.ok(sent >= 1.15 * requests, `and most of what is allowed: ${sent}`)
})
