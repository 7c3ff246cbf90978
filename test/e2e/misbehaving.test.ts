import { connect } from 'node:net'
import t, { type Test } from 'tap'
import type { FailureCode } from '../../src/base/failure.ts'
import {
  answers, answersAs, answersEarly, answersSlower, answersStatus, bursts, closesAfter, closesAtOnce, cutsChunks, garbage, halfCloses,
  headByteByByte, interim, neverEnds, readsNothing, resets, saysNothing, stalls, wrongLength,
} from '../support/behaviours.ts'
import { GatewayProcess, type LogLine } from '../support/gateway-process.ts'
import { type Behaviours, MisbehavingUpstream } from '../support/misbehaving.ts'
import { isWhole, sendRaw } from '../support/raw.ts'

t.setTimeout(240_000)
/** A good answer that leaves no connection behind: so each case begins on a new one. */
const LAST_ANSWER = closesAfter({ isAnnounced: true })
/** More than the system's buffers between the gateway and an upstream that reads nothing. */
const LARGE_BYTES = 24 * 1024 * 1024

const upstream = await MisbehavingUpstream.start(answers())
const ONE_TRY = { endpoints: [upstream.url], retries: { attempts: 1 }, outlier: null }
const gateway = await GatewayProcess.start({
  bounds: { maxBodyBytes: 2 * LARGE_BYTES },
  upstreams: {
    u: ONE_TRY,
    impatient: { ...ONE_TRY, headTimeoutMs: 1000, idleTimeoutMs: 1000 },
    narrow: { ...ONE_TRY, maxConnections: 1 },
  },
  routes: [
    { id: 'n', match: { path: '/n/{number}' }, upstream: 'u' },
    { id: 'impatient', match: { path: '/impatient/{number}' }, upstream: 'impatient' },
    { id: 'narrow', match: { path: '/narrow/{number}' }, upstream: 'narrow' },
    { id: 'timed', match: { path: '/timed/{number}' }, upstream: 'u', timeoutMs: 1000 },
  ],
})
t.teardown(async () => {
  await gateway.stop()
  await upstream.stop()
})

let number = 0
const get = (path: string) => sendRaw(gateway.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`], { until: isWhole, quietMs: 30_000 })
const put = (path: string, body: string) =>
  sendRaw(gateway.port, [`PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`, body], { until: isWhole, quietMs: 30_000 })
const isRight = (bytes: string, of: number): boolean =>
  bytes.startsWith('HTTP/1.1 200 ') && isWhole(bytes) && bytes.replace(/\r\n0\r\n\r\n$/, '').endsWith(`\r\nnumber ${of}`)

async function lineOf(t: Test, path: string): Promise<LogLine> {
  await gateway.until(() => gateway.accessLog.some(line => line['path'] === path))
  const lines = gateway.accessLog.filter(line => line['path'] === path)
  t.equal(lines.length, 1, `${path} stands in the access log once`)
  return lines[0]!
}

/** After whatever happened: an answer, and every connection given back. */
async function goesOn(t: Test, route: string): Promise<void> {
  await upstream.behave(LAST_ANSWER)
  const path = `/${route}/${++number}`
  t.ok(isRight((await get(path)).bytes, number), 'the next request gets its answer')
  t.match(await lineOf(t, path), { status: 200, failure: null })
  await upstream.until(() => upstream.openConnections === 0)
  t.strictSame(upstream.faults, [])
}

type Case = {
  readonly desc: string
  readonly behaviours: Behaviours
  /** 'cut': the head said 200, and the connection ended before the answer was whole. */
  readonly want: 'right' | 'cut' | number
  readonly code?: FailureCode
  readonly route?: 'n' | 'impatient' | 'timed'
  /** Of a PUT; absent: a GET. */
  readonly bodyBytes?: number
  /** An answered request stands before it on the same connection. */
  readonly isOnReused?: boolean
  readonly tries?: number
  /** Requests that the upstream saw; `tries` of them if absent. */
  readonly seen?: number
}

const cases: Case[] = [
  { desc: 'answers', behaviours: answers(), want: 'right' },
  { desc: 'answers a request with a body', behaviours: answers(), bodyBytes: 100_000, want: 'right' },
  { desc: 'answers slowly', behaviours: answersSlower([300]), want: 'right' },
  { desc: 'refuses', behaviours: 'refuses', want: 502, code: 'GW_UPSTREAM_REFUSED', seen: 0 },
  { desc: 'closes at once', behaviours: closesAtOnce(), want: 502, code: 'GW_UPSTREAM_RESET', seen: 0 },
  { desc: 'accepts and says nothing', behaviours: saysNothing(), route: 'impatient', want: 504, code: 'GW_UPSTREAM_HEAD_TIMEOUT' },
  { desc: 'says nothing, and the route has had enough', behaviours: saysNothing(), route: 'timed', want: 504, code: 'GW_EXCHANGE_TIMEOUT' },
  { desc: 'takes nothing of a large body', behaviours: readsNothing(), bodyBytes: LARGE_BYTES, route: 'impatient', want: 504, code: 'GW_UPSTREAM_IDLE_TIMEOUT' },
  { desc: 'sends its head byte by byte', behaviours: headByteByByte(1), want: 'right' },
  { desc: 'sends its head byte by byte, too slowly', behaviours: headByteByByte(200), route: 'impatient', want: 504, code: 'GW_UPSTREAM_HEAD_TIMEOUT' },
  { desc: 'resets before the head', behaviours: resets({ headBytes: 0 }), want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets within the status line', behaviours: resets({ headBytes: 5 }), want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets within the head', behaviours: resets({ headBytes: 30 }), want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets behind the head', behaviours: resets({ bodyBytes: 0 }), want: 'cut', code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets within the body', behaviours: resets({ bodyBytes: 3 }), want: 'cut', code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets under a request with a body', behaviours: resets({ headBytes: 0 }), bodyBytes: 100, want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'stalls within the body', behaviours: stalls(), route: 'impatient', want: 'cut', code: 'GW_UPSTREAM_IDLE_TIMEOUT' },
  { desc: 'never ends its body', behaviours: neverEnds(), route: 'timed', want: 'cut', code: 'GW_EXCHANGE_TIMEOUT' },
  { desc: 'sends less than it announced', behaviours: wrongLength('tooShort'), want: 'cut', code: 'GW_UPSTREAM_RESET' },
  { desc: 'sends more than it announced', behaviours: wrongLength('tooLong'), want: 'right' },
  { desc: 'closes before its last chunk', behaviours: cutsChunks(), want: 'cut', code: 'GW_UPSTREAM_RESET' },
  { desc: 'answers before it has read the body', behaviours: answersEarly('reads'), bodyBytes: 100_000, want: 'right' },
  { desc: 'answers before it has read the body, and closes', behaviours: answersEarly('closes'), bodyBytes: 1000, want: 'right' },
  { desc: 'closes behind its answer, as announced', behaviours: closesAfter({ isAnnounced: true }), want: 'right' },
  { desc: 'closes behind its answer without a word', behaviours: closesAfter({ isAnnounced: false }), want: 'right' },
  { desc: 'closes its side behind its answer', behaviours: halfCloses({ answers: true }), want: 'right' },
  { desc: 'closes its side instead of an answer', behaviours: halfCloses({ answers: false }), want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'answers 503', behaviours: answersStatus(503), want: 503 },
  { desc: 'answers 503 with Retry-After', behaviours: answersStatus(503, { retryAfterSeconds: 1 }), want: 503 },
  { desc: 'speaks no HTTP', behaviours: garbage(), want: 502, code: 'GW_UPSTREAM_PROTOCOL' },
  { desc: 'sends an endless head', behaviours: garbage(`HTTP/1.1 200 OK\r\nX: ${'a'.repeat(100_000)}`), want: 502, code: 'GW_UPSTREAM_HEAD_TOO_LARGE' },
  { desc: 'switches protocols unasked', behaviours: garbage('HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n'), want: 502, code: 'GW_UPSTREAM_PROTOCOL' },
  { desc: 'sends interim answers first', behaviours: interim(3, 1), want: 'right' },
  { desc: 'sends nothing but interim answers', behaviours: interim(1000), want: 502, code: 'GW_UPSTREAM_PROTOCOL' },
  { desc: 'resets a connection that was used before', behaviours: [resets({ headBytes: 0 }), answers()], isOnReused: true, want: 'right', tries: 2 },
  { desc: 'resets it again and again', behaviours: resets({ headBytes: 0 }), isOnReused: true, want: 502, code: 'GW_UPSTREAM_RESET', tries: 2 },
  { desc: 'resets it under a body', behaviours: resets({ headBytes: 0 }), isOnReused: true, bodyBytes: 100, want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'resets it within a head', behaviours: resets({ headBytes: 30 }), isOnReused: true, want: 502, code: 'GW_UPSTREAM_RESET' },
  { desc: 'says nothing on it', behaviours: saysNothing(), isOnReused: true, route: 'impatient', want: 504, code: 'GW_UPSTREAM_HEAD_TIMEOUT' },
]

for (const { desc, behaviours, want, code, route = 'n', bodyBytes, isOnReused = false, tries = 1, seen = tries } of cases) {
  t.test(`an upstream that ${desc}: ${code ?? want}`, async t => {
    if (isOnReused) {
      await upstream.behave(answers())
      t.ok(isRight((await get(`/${route}/${++number}`)).bytes, number))
    }
    await upstream.behave(behaviours)
    const before = upstream.requests
    const path = `/${route}/${++number}`
    const { bytes, isClosed } = bodyBytes === undefined ? await get(path) : await put(path, 'b'.repeat(bodyBytes))
    if (want === 'right') t.ok(isRight(bytes, number), bytes.slice(0, 500))
    else if (want === 'cut') {
      t.ok(isClosed, 'the connection of the client is closed')
      t.notOk(bytes !== '' && isWhole(bytes), 'what came does not look whole')
    } else {
      t.match(bytes, new RegExp(`^HTTP/1.1 ${want} `))
      t.match(bytes, code === undefined ? /\r\n\r\nstatus \d{3}$/ : `"code":"${code}"`)
    }
    t.match(await lineOf(t, path), { status: typeof want === 'number' ? want : 200, failure: code ?? null, tries, endpoint: upstream.url })
    t.equal(upstream.requests - before, seen, 'requests that the upstream saw')
    await goesOn(t, route)
  })
}

t.test('Retry-After of the upstream reaches the client', async t => {
  await upstream.behave(bursts(3, 503, { retryAfterSeconds: 7 }))
  for (let i = 0; i < 3; i++) t.match((await get(`/n/${++number}`)).bytes, /^HTTP\/1.1 503 [^]*\r\nretry-after: 7\r\n/i)
  t.ok(isRight((await get(`/n/${++number}`)).bytes, number), 'the burst is over')
  await goesOn(t, 'n')
})

for (const { desc, behaviours } of [
  { desc: 'closes without a word behind each answer', behaviours: closesAfter({ isAnnounced: false }) },
  { desc: 'closes its side behind each answer', behaviours: halfCloses({ answers: true }) },
]) {
  t.test(`an upstream that ${desc}: each of many GETs gets its own answer`, async t => {
    await upstream.behave(behaviours)
    for (let i = 0; i < 50; i++) t.ok(isRight((await get(`/n/${++number}`)).bytes, number))
    await goesOn(t, 'n')
  })
}

t.test('an answer to half a request: the client gets it, and the rest of its body spoils nothing', async t => {
  await upstream.behave(answersEarly('reads'))
  const path = `/n/${++number}`
  const bytes = await new Promise<string>(resolve => {
    const socket = connect({ port: gateway.port, host: '127.0.0.1', noDelay: true })
    let text = ''
    let isRestSent = false
    socket.write(`PUT ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf `)
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
      if (!isRestSent && text.includes(`number ${number}`)) {
        isRestSent = true
        socket.write('+half')
      }
      if (isWhole(text)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
  t.ok(isRight(bytes, number), bytes)
  t.match(await lineOf(t, path), { status: 200, failure: null, tries: 1 })
  await goesOn(t, 'n')
})

t.test('a client that leaves a body without an end: the upstream is left too', async t => {
  await upstream.behave(neverEnds())
  const path = `/n/${++number}`
  await sendRaw(gateway.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`], { until: bytes => bytes.length > 5000 })
  await upstream.until(() => upstream.openConnections === 0)
  t.match(await lineOf(t, path), { status: 200, failure: 'GW_CLIENT_GONE', tries: 1 })
  await goesOn(t, 'n')
})

for (const { desc, surplus } of [
  { desc: 'bytes', surplus: 'surplus' },
  { desc: 'a whole answer', surplus: 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil' },
]) {
  t.test(`${desc} behind an answer never become the answer of a request that waits for the connection`, async t => {
    await upstream.behave([wrongLength('tooLong', surplus), answers()])
    const numbers = Array.from({ length: 4 }, () => ++number)
    const all = await Promise.all(numbers.map(of => get(`/narrow/${of}`)))
    for (const [index, of] of numbers.entries()) t.ok(isRight(all[index]!.bytes, of), all[index]!.bytes.slice(0, 500))
    await goesOn(t, 'narrow')
  })
}

t.test('what an upstream mixes up, it mixes up: the gateway passes on what it says, to one client', async t => {
  await upstream.behave([answersAs('other'), answers()])
  t.match((await get(`/n/${++number}`)).bytes, /\r\n\r\nnumber other$/)
  t.ok(isRight((await get(`/n/${++number}`)).bytes, number))
  await goesOn(t, 'n')
})
