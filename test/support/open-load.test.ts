import t from 'tap'
import { answers, answersAs, answersStatus, type Behaviour, closesAtOnce, interim, saysNothing, wrongLength } from './behaviours.ts'
import { type Behaviours, MisbehavingUpstream } from './misbehaving.ts'
import { runOpenLoad } from './open-load.ts'

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nnumber 2'
const PROBLEM: Behaviour = {
  when: 'request',
  act: socket => { socket.write('HTTP/1.1 504 Gateway Timeout\r\nContent-Length: 15\r\n\r\n{"code":"GW_X"}') },
}
const CHUNKED: Behaviour = {
  when: 'request',
  act: (socket, { target }) => {
    const body = `number ${target.slice(3)}`
    socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`)
  },
}

for (const { desc, behaviours, want, surplus = [] } of [
  { desc: 'its own answer', behaviours: answers(), want: { right: 20 } },
  { desc: 'its own answer in chunks', behaviours: CHUNKED, want: { right: 20 } },
  { desc: 'the answer of another', behaviours: [answers(), answersAs('999'), answers()], want: { right: 19, wrong: 1 } },
  { desc: 'another status', behaviours: [answersStatus(503), PROBLEM, answers()], want: { right: 18, 503: 1, '504 GW_X': 1 } },
  { desc: 'a connection that ends', behaviours: [wrongLength('tooShort'), closesAtOnce(), answers()], want: { right: 18, cut: 2 } },
  { desc: 'no connection', behaviours: 'refuses' as const, want: { unconnected: 20 } },
  { desc: 'silence', behaviours: [saysNothing(), saysNothing(), answers()], want: { right: 18, unanswered: 2 } },
  { desc: 'an answer without a length', behaviours: [interim(1), answers()], want: { right: 19, malformed: 1 }, surplus: null },
  { desc: 'a second answer', behaviours: [wrongLength('tooLong', ANSWER), answers()], want: { right: 20 }, surplus: [ANSWER] },
] satisfies { desc: string; behaviours: Behaviours; want: Record<string, number>; surplus?: string[] | null }[]) {
  t.test(`${desc} is accounted for`, async t => {
    const upstream = await MisbehavingUpstream.start(behaviours)
    const result = await runOpenLoad({ port: upstream.port, perSecond: 100, seconds: 0.2, connections: 4, deadlineMs: 1000 })
    t.strictSame(result.totals, want)
    t.strictSame(result.records.map(record => record.number), Array.from({ length: 20 }, (_, index) => index + 1))
    if (surplus !== null) t.strictSame(result.surplus, surplus)
    t.equal(result.wrong.length, result.totals['wrong'] ?? 0)
    t.strictSame(upstream.faults, [])
    await upstream.stop()
  })
}

t.test('a stall is charged to all that were due meanwhile, and connections stay bounded', async t => {
  const upstream = await MisbehavingUpstream.start([answers({ delayMs: 400 }), answers()])
  const result = await runOpenLoad({ port: upstream.port, perSecond: 100, seconds: 0.5, connections: 1 })
  t.strictSame(result.totals, { right: 50 })
  t.equal(upstream.connections, 1)
  t.ok(result.greatestMs >= 400)
  t.ok(result.p50Ms > 50, `${result.p50Ms} ms: those behind it waited too`)
  await upstream.stop()
})

t.test('a request that never got a connection has no time of sending', async t => {
  const upstream = await MisbehavingUpstream.start(saysNothing())
  // All are due at once, so that no deadline frees a connection for another.
  const { records } = await runOpenLoad({ port: upstream.port, perSecond: 100_000, seconds: 0.00005, connections: 2, deadlineMs: 500 })
  t.strictSame(records.map(record => record.outcome), Array.from({ length: 5 }, () => 'unanswered'))
  t.equal(upstream.requests, 2)
  t.equal(records.filter(record => record.sentMs === null).length, 3)
  await upstream.stop()
})
