import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { Failure } from '../../src/base/failure.ts'
import { JsonComparer } from '../../src/gateway/json-comparer.ts'
import { Mirror, type MirrorConfig, type MirrorCounters, type MirroredRequest, type MirrorShipment } from '../../src/gateway/mirror.ts'
import { Headers } from '../../src/http/headers.ts'
import type { RequestHead } from '../../src/http/message.ts'
import { Call, type CallListener } from '../../src/upstream/call.ts'
import { ParsedHead } from '../../src/upstream/response-head.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'

const NOTHING = Buffer.alloc(0)
const ZERO: MirrorCounters = {
  copied: 0, dropped: 0, failed: 0, compared: 0, statusDiffers: 0, jsonCompared: 0, jsonDiffers: 0, primaryMs: 0, mirrorMs: 0, maxSlowerMs: 0,
}

/** A copy on its way: the test is the upstream that answers it. */
class FakeCall extends Call {
  readonly shipment: MirrorShipment
  isCancelled = false

  constructor(shipment: MirrorShipment, listener: CallListener) {
    super(shipment.request.method, '', shipment.body, listener)
    this.shipment = shipment
  }

  override cancel(): void {
    this.isCancelled = true
  }

  answer(status: number, body = '', isLast = true): boolean {
    const head = new ParsedHead()
    head.status = status
    return this.listener.onResponse(this, head, Buffer.from(body), isLast)
  }

  piece(body: string, isLast: boolean): boolean {
    return this.listener.onBody(this, Buffer.from(body), isLast)
  }

  fail(): void {
    this.listener.onFailure(this, new Failure('GW_UPSTREAM_RESET'))
  }
}

function mirrorOf(config: Partial<MirrorConfig> = {}, options: { random?: () => number; send?: () => void } = {}) {
  const clock = new ManualClock()
  const calls: FakeCall[] = []
  const faults: unknown[] = []
  const mirror = new Mirror({ upstream: 'shadow', ratio: 1, maxInFlight: 4, maxBodyBytes: 10, compare: [], ...config }, {
    target: {
      send: (shipment, listener) => {
        options.send?.()
        calls.push(new FakeCall(shipment, listener))
      },
    },
    comparer: new JsonComparer(),
    random: options.random ?? (() => 0),
    nowMs: () => clock.nowMs(),
    timeoutMs: 1000,
    onFault: cause => { faults.push(cause) },
  })
  return { mirror, clock, calls, faults }
}

function requestOf(head: Partial<RequestHead> = {}): MirroredRequest {
  return {
    request: { method: 'POST', path: '/a', query: 'b=1', host: 'h', headers: new Headers(), contentLength: null, isChunked: false, hasForwarding: false, ...head },
    upstreamPath: '/v1/a',
    forwarding: 'x-a: 1\r\n',
  }
}

t.test('chooses a share of the requests; those it does not choose count nowhere', async t => {
  const random = new Random(5)
  const { mirror } = mirrorOf({ ratio: 0.25 }, { random: () => random.next() })
  const chosen = Array.from({ length: 4000 }, () => mirror.chooses()).filter(is => is).length
  t.ok(Math.abs(chosen / 4000 - 0.25) < 0.03)
  t.strictSame(mirror.takeCounters(), ZERO)
  t.notOk(mirrorOf({ ratio: 0 }).mirror.chooses())
})

for (const { desc, head, body, want } of [
  { desc: 'without a body', head: {}, body: null, want: { isChunked: false, contentLength: null, bodyLength: null } },
  { desc: 'with an announced body', head: { contentLength: 3 }, body: 'abc', want: { isChunked: false, contentLength: 3, bodyLength: 3 } },
  { desc: 'with a body in chunks, which has a length now', head: { isChunked: true }, body: 'abc', want: { isChunked: false, contentLength: 3, bodyLength: 3 } },
  { desc: 'with chunks of nothing', head: { isChunked: true }, body: '', want: { isChunked: false, contentLength: 0, bodyLength: null } },
]) {
  t.test(`a copy ${desc}`, async t => {
    const { mirror, calls } = mirrorOf()
    const from = requestOf(head)
    t.equal(mirror.start(from, body === null ? null : Buffer.from(body)), null, 'nothing is compared, so nothing need be told')
    const { request, upstreamPath, forwarding, body: source } = calls[0]!.shipment
    t.strictSame({ isChunked: request.isChunked, contentLength: request.contentLength, bodyLength: source?.contentLength ?? null }, want)
    t.strictSame([request.method, request.query, request.headers, upstreamPath, forwarding], ['POST', 'b=1', from.request.headers, '/v1/a', 'x-a: 1\r\n'])
    t.equal(from.request.isChunked, 'isChunked' in head, 'the primary keeps its own framing')
  })
}

t.test('drops what is beyond maxInFlight, and what is too large', async t => {
  const { mirror, calls } = mirrorOf({ maxInFlight: 2 })
  for (let i = 0; i < 3; i++) mirror.start(requestOf(), null)
  t.strictSame([calls.length, mirror.inFlight], [2, 2])
  calls[0]!.answer(200)
  mirror.start(requestOf(), Buffer.alloc(11))
  t.equal(mirror.inFlight, 1)
  mirror.start(requestOf(), Buffer.alloc(10))
  mirror.drop()
  t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 3, dropped: 3 })
  t.strictSame(mirror.takeCounters(), ZERO, 'taken counts start anew')
  calls[1]!.fail()
  calls[2]!.fail()
  t.strictSame([mirror.takeCounters().failed, mirror.inFlight], [2, 0])
})

t.test('takes whatever comes, and is done once', async t => {
  const { mirror, calls } = mirrorOf()
  mirror.start(requestOf(), null)
  t.ok(calls[0]!.answer(200, 'a', false))
  t.ok(calls[0]!.piece('b', false))
  t.ok(calls[0]!.piece('c', true))
  calls[0]!.fail()
  t.strictSame([mirror.inFlight, mirror.takeCounters().failed], [0, 0])
})

t.test('cuts an answer that goes on for longer than the timeout of the route', async t => {
  const { mirror, clock, calls } = mirrorOf()
  mirror.start(requestOf(), null)
  calls[0]!.answer(200, '', false)
  clock.advance(1000)
  calls[0]!.piece('a', false)
  t.notOk(calls[0]!.isCancelled)
  clock.advance(1)
  calls[0]!.piece('a', false)
  t.ok(calls[0]!.isCancelled)
  t.strictSame([mirror.inFlight, mirror.takeCounters().failed], [0, 1])
})

t.test('a fault on the way of a copy is told and counted, and goes no further', async t => {
  const { mirror, faults } = mirrorOf({}, { send: () => { throw new Error('struck by the test') } })
  t.equal(mirror.start(requestOf(), null), null)
  t.strictSame([mirror.inFlight, faults.length], [0, 1])
  t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 1, failed: 1 })
})

for (const { desc, primaryFirst } of [{ desc: 'the primary first', primaryFirst: true }, { desc: 'the copy first', primaryFirst: false }]) {
  t.test(`compares status and latency when both are over: ${desc}`, async t => {
    const { mirror, clock, calls } = mirrorOf({ compare: ['status', 'latency'] })
    const tell = (status: number, latencyMs: number, copyStatus: number, copyMs: number): void => {
      const comparison = mirror.start(requestOf(), null)!
      const primary = (): void => {
        comparison.onPrimaryHead(status, latencyMs)
        comparison.onPrimaryEnd(true)
      }
      if (primaryFirst) primary()
      clock.advance(copyMs)
      calls.at(-1)!.answer(copyStatus)
      t.equal(mirror.inFlight, primaryFirst ? 0 : 1, 'its place is kept until both are over')
      if (!primaryFirst) primary()
      t.equal(mirror.inFlight, 0)
    }
    tell(200, 10, 200, 30)
    tell(200, 10, 500, 5)
    t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 2, compared: 2, statusDiffers: 1, primaryMs: 20, mirrorMs: 35, maxSlowerMs: 20 })
  })
}

t.test('a pair of which one side got no answer is not compared', async t => {
  const { mirror, calls } = mirrorOf({ compare: ['status'] })
  const withoutAnswer = mirror.start(requestOf(), null)!
  calls[0]!.answer(200)
  withoutAnswer.onPrimaryEnd(false)
  withoutAnswer.onPrimaryEnd(false)
  const withAnswer = mirror.start(requestOf(), null)!
  withAnswer.onPrimaryHead(200, 1)
  withAnswer.onPrimaryEnd(true)
  calls[1]!.answer(500, '', false)
  calls[1]!.fail()
  t.equal(mirror.inFlight, 0)
  t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 2, failed: 1 })
})

const LONG = JSON.stringify('x'.repeat(65_535))
for (const { desc, primary, copy, isWhole = true, want } of [
  { desc: 'the same value', primary: ['{"a":1,', '"b":2}'], copy: ['{"b":2,"a":1}'], want: { jsonCompared: 1, jsonDiffers: 0 } },
  { desc: 'another value', primary: ['{"a":1}'], copy: ['{"a"', ':2}'], want: { jsonCompared: 1, jsonDiffers: 1 } },
  { desc: 'no JSON', primary: ['<p>'], copy: ['<b>'], want: { jsonCompared: 0, jsonDiffers: 0 } },
  { desc: 'too long', primary: [LONG, ' '], copy: [LONG], want: { jsonCompared: 0, jsonDiffers: 0 } },
  { desc: 'a primary that was cut off', primary: ['{"a":'], copy: ['{"a":1}'], isWhole: false, want: { jsonCompared: 0, jsonDiffers: 0 } },
]) {
  t.test(`compares bodies as JSON, behind the request: ${desc}`, async t => {
    const { mirror, calls } = mirrorOf({ compare: ['json'] })
    const comparison = mirror.start(requestOf(), null)!
    comparison.onPrimaryHead(200, 1)
    for (const piece of primary) {
      const chunk = Buffer.from(piece)
      comparison.onPrimaryBody(chunk)
      // A read buffer is used again.
      chunk.fill(0)
    }
    calls[0]!.answer(200, '', false)
    copy.forEach((piece, index) => calls[0]!.piece(piece, index === copy.length - 1))
    comparison.onPrimaryEnd(isWhole)
    t.equal(mirror.inFlight, 0)
    t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 1, compared: 1 }, 'not within the request')
    await nextTurn()
    t.strictSame(mirror.takeCounters(), { ...ZERO, ...want })
  })
}

t.test('a long answer is dropped as it comes', async t => {
  const { mirror, calls } = mirrorOf({ compare: ['json'], maxInFlight: 1 })
  const comparison = mirror.start(requestOf(), null)!
  for (let i = 0; i < 100; i++) comparison.onPrimaryBody(Buffer.alloc(65_536))
  comparison.onPrimaryEnd(true)
  t.ok(calls[0]!.answer(200, NOTHING.toString()))
  await nextTurn()
  t.strictSame(mirror.takeCounters(), { ...ZERO, copied: 1 })
})
