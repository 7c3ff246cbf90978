import { createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HttpResponse } from 'uWebSockets.js'
import t from 'tap'
import { monotonicClock, nowMs } from '../../src/base/clock.ts'
import type { Failure } from '../../src/base/failure.ts'
import { TimerWheel } from '../../src/base/timer-wheel.ts'
import { documentSchema } from '../../src/config/schema.ts'
import { RequestBody } from '../../src/downstream/request-body.ts'
import { Delivery, type Target } from '../../src/gateway/delivery.ts'
import { Hedging } from '../../src/gateway/hedging.ts'
import { RetryPolicy } from '../../src/gateway/retry.ts'
import { Headers } from '../../src/http/headers.ts'
import type { ParsedHead } from '../../src/upstream/response-head.ts'
import { RetryBudget } from '../../src/upstream/retry-budget.ts'
import { Upstream } from '../../src/upstream/upstream.ts'
import { Random } from '../support/random.ts'

/**
 * Many exchanges with and without bodies against endpoints that do anything, clients that leave at any moment, retries,
 * hedges, a breaker, a short queue. Whatever happens: one end for each exchange and nothing after it, no body that is not
 * the one that was sent, no answer of another request, and at the end every counter is where it began.
 */
const EXCHANGES = 1500
const random = new Random(7)
const unit = (): number => random.next()
const patternOf = (id: string): string => `<${id}>`
const bodyOf = (id: string, length: number): string => patternOf(id).repeat(Math.ceil(length / patternOf(id).length)).slice(0, length)

/** Reads requests one after the other, checks their bodies, and answers each in some way. */
class Endpoint {
  readonly #socket: Socket
  readonly #problems: string[]
  #bytes = ''
  #isEarly = false
  #turn: Promise<void> = Promise.resolve()

  constructor(socket: Socket, problems: string[]) {
    this.#socket = socket
    this.#problems = problems
    socket.on('error', () => {})
    socket.on('data', (piece: Buffer) => {
      this.#bytes += piece.toString('latin1')
      while (this.#takeRequest());
    })
  }

  #takeRequest(): boolean {
    const at = this.#bytes.indexOf('\r\n\r\n')
    if (at < 0) return false
    const head = this.#bytes.slice(0, at)
    const id = /x-id: (\d+)/.exec(head)![1]!
    const length = Number(/x-length: (\d+)/.exec(head)?.[1] ?? 0)
    const found = /transfer-encoding: chunked/.test(head) ? this.#chunked(at + 4) : this.#sized(at + 4, Number(/content-length: (\d+)/.exec(head)?.[1] ?? 0))
    if (found === null) {
      if (!this.#isEarly && unit() < 0.1) this.#answerEarly()
      return false
    }
    this.#bytes = this.#bytes.slice(found.end)
    if (found.body !== bodyOf(id, length)) this.#problems.push(`request ${id} of ${length} bytes came as ${found.body.length}`)
    if (!this.#isEarly) this.#turn = this.#turn.then(() => this.#answer(`id=${id};`))
    return true
  }

  #sized(from: number, length: number): { body: string; end: number } | null {
    return this.#bytes.length < from + length ? null : { body: this.#bytes.slice(from, from + length), end: from + length }
  }

  #chunked(from: number): { body: string; end: number } | null {
    let body = ''
    for (let at = from; ;) {
      const lineEnd = this.#bytes.indexOf('\r\n', at)
      if (lineEnd < 0) return null
      const size = parseInt(this.#bytes.slice(at, lineEnd), 16)
      if (this.#bytes.length < lineEnd + size + 4) return null
      body += this.#bytes.slice(lineEnd + 2, lineEnd + 2 + size)
      at = lineEnd + size + 4
      if (size === 0) return { body, end: at }
    }
  }

  #answerEarly(): void {
    this.#isEarly = true
    this.#socket.write('HTTP/1.1 503 x\r\ntransfer-encoding: chunked\r\n\r\n')
    setTimeout(() => this.#socket.write('2\r\nno\r\n0\r\n\r\n'), unit() * 30)
  }

  async #answer(body: string): Promise<void> {
    const socket = this.#socket
    const whole = `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const kind = unit()
    if (kind < 0.45) await sleep(unit() * 8).then(() => socket.write(whole))
    else if (kind < 0.55) socket.destroy()
    else if (kind < 0.60) await sleep(unit() * 20).then(() => socket.destroy())
    else if (kind < 0.70) socket.write('HTTP/1.1 503 x\r\ncontent-length: 2\r\n\r\nno')
    else if (kind < 0.75) {
      socket.write('HTTP/1.1 503 x\r\ntransfer-encoding: chunked\r\n\r\n')
      await sleep(unit() * 40).then(() => socket.write('2\r\nno\r\n0\r\n\r\n'))
    } else if (kind < 0.78) socket.write(`HTTP/1.1 503 x\r\ncontent-length: 100000\r\n\r\n${'z'.repeat(80_000)}`)
    else if (kind < 0.81) await new Promise(() => { /* Never. */ })
    else if (kind < 0.85) socket.end(whole)
    else if (kind < 0.88) socket.write('GARBAGE\r\n\r\n')
    else if (kind < 0.91) {
      socket.write(whole.slice(0, -2))
      await sleep(unit() * 30).then(() => socket.write(whole.slice(-2)))
    } else if (kind < 0.94) {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nid=')
      await sleep(unit() * 10).then(() => socket.destroy())
    } else await sleep(30 + unit() * 40).then(() => socket.write(whole))
  }
}

for (const { pipelining, hedge } of [
  { pipelining: 1, hedge: { percentile: 60, minDelayMs: 5, maxRatio: 1 } },
  { pipelining: 4, hedge: { percentile: 60, minDelayMs: 5, maxRatio: 1 } },
  { pipelining: 4, hedge: null },
]) {
  t.test(`nothing is lost, mixed up or counted twice: pipelining ${pipelining}, ${hedge === null ? 'no hedges' : 'hedges'}`, { timeout: 120_000 }, async t => {
    const problems: string[] = []
    const sockets = new Set<Socket>()
    const servers = await Promise.all([0, 1, 2].map(async () => {
      const server = createServer(socket => {
        sockets.add(socket)
        void new Endpoint(socket, problems)
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      return server
    }))
    const endpoints = servers.map(server => `http://127.0.0.1:${(server.address() as { port: number }).port}`)
    const config = documentSchema.parse({ upstreams: { u: {
      endpoints, pipelining, maxConnections: 6, headTimeoutMs: 60, idleTimeoutMs: 60, connectTimeoutMs: 50, keepAliveMs: 50, outlier: { ejectMs: 50 },
      retries: { attempts: 4, on: ['connect', 'reset', 'timeout', 503], budgetRatio: 1, backoffMs: 10, hedge },
      breaker: { maxPending: 60, pendingTimeoutMs: 40, maxInFlight: 60, failureRatio: 0.9, windowMs: 500, minRequests: 5, openMs: 5, halfOpenRequests: 2 },
    } } }).upstreams['u']!
    const wheel = new TimerWheel(monotonicClock)
    wheel.start()
    const table = { endpoints: endpoints.map(url => ({ url, weight: 1, priority: 0, zone: null, name: null })), unhealthy: [] }
    const upstream = new Upstream('u', config, table, { wheel, files: {}, zone: null, onEvent: () => {} })
    const budget = watchBudget(upstream.budget)
    const target: Target = { upstream, retry: new RetryPolicy(config.retries), hedging: config.retries.hedge === null ? null : new Hedging(config.retries.hedge) }

    let started = 0
    const outcomes = new Map<string, number>()
    await Promise.all(Array.from({ length: 30 }, async () => {
      while (started < EXCHANGES) {
        const outcome = await exchange(target, String(++started), problems)
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
        await sleep(unit() * 15)
      }
    }))
    await sleep(500)
    t.strictSame(problems, [])
    t.ok(outcomes.get('200')! > EXCHANGES / 2, JSON.stringify([...outcomes]))
    t.strictSame([upstream.inFlight, upstream.pendingCount, ...upstream.endpoints.map(endpoint => endpoint.inFlight)], [0, 0, 0, 0, 0], 'counters go back')
    t.strictSame(budget, { requests: 0, retries: 0 }, 'and those of the budget')
    upstream.abort()
    wheel.stop()
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
  })
}

function watchBudget(budget: RetryBudget): { requests: number; retries: number } {
  const open = { requests: 0, retries: 0 }
  const { onRequest, onRequestEnd, tryRetry, onRetryEnd } = RetryBudget.prototype
  budget.onRequest = now => { open.requests++; onRequest.call(budget, now) }
  budget.onRequestEnd = () => { open.requests--; onRequestEnd.call(budget) }
  budget.tryRetry = now => { const isTaken = tryRetry.call(budget, now); if (isTaken) open.retries++; return isTaken }
  budget.onRetryEnd = () => { open.retries--; onRetryEnd.call(budget) }
  return open
}

/** One exchange with a client that sends its body in pieces, reads slowly now and then, or leaves. */
function exchange(target: Target, id: string, problems: string[]): Promise<string> {
  return new Promise(resolve => {
    const headers = new Headers()
    headers.add('x-id', id)
    const hasBody = unit() < 0.5
    const length = hasBody ? Math.floor(unit() * (unit() < 0.3 ? 200_000 : 20_000)) + 1 : 0
    const isChunked = hasBody && unit() < 0.5
    if (hasBody) headers.add('x-length', String(length))
    const contentLength = hasBody && !isChunked ? length : null
    const client = new FakeClient()
    const body = hasBody ? new RequestBody(client as unknown as HttpResponse, contentLength, 1e9, {
      onTooLarge: () => problems.push(`${id} was too large`), onComplete: () => {}, onDiscarded: () => {}, onFault: cause => problems.push(String(cause)),
    }) : null
    if (hasBody) client.send(Buffer.from(bodyOf(id, length)))

    let isOver = false
    let text = ''
    let status = 0
    const finish = (outcome: string): void => {
      if (isOver) problems.push(`${id}: ${outcome} after its end`)
      isOver = true
      for (const timer of timers) clearTimeout(timer)
      client.isGone = true
      body?.detach()
      resolve(outcome)
    }
    const take = (chunk: Buffer, isLast: boolean): boolean => {
      if (isOver) problems.push(`${id}: a piece after its end`)
      text += chunk.toString('latin1')
      if (isLast) {
        if (status === 200 && text !== `id=${id};`) problems.push(`${id} was answered ${text}`)
        finish(String(status))
      } else if (unit() < 0.2) {
        setTimeout(() => { if (!isOver) delivery.resume() }, unit() * 20)
        return false
      }
      return true
    }
    const delivery = new Delivery(target, {
      request: { method: hasBody ? 'PUT' : 'GET', path: '/', query: '', host: 'h', headers, contentLength, isChunked, hasForwarding: false },
      upstreamPath: '/', forwarding: '', giveUpAtMs: nowMs() + 400, keyValue: () => undefined,
    }, body, {
      onResponse: (head: ParsedHead, chunk: Buffer, isLast: boolean) => { status = head.status; return take(chunk, isLast) },
      onBody: take,
      onFailure: (failure: Failure) => finish(failure.code),
    })
    const leaveAfter = (ms: number, outcome: string): NodeJS.Timeout => setTimeout(() => { delivery.cancel(); finish(outcome) }, ms)
    const timers = [leaveAfter(400, 'timeout'), ...(unit() < 0.2 ? [leaveAfter(unit() * 60, 'left')] : [])]
    delivery.start(nowMs())
  })
}

/** What a RequestBody needs of uWS. */
class FakeClient {
  isGone = false
  #isPaused = false
  #take: (chunk: ArrayBuffer, isLast: boolean) => void = () => {}

  onData(take: (chunk: ArrayBuffer, isLast: boolean) => void): void {
    this.#take = take
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
  }

  send(rest: Buffer): void {
    setTimeout(() => {
      if (this.isGone) return
      const size = this.#isPaused ? 0 : Math.min(rest.length, 1 + Math.floor(unit() * 30_000))
      if (size > 0) this.#take(new Uint8Array(rest.subarray(0, size)).buffer, size === rest.length)
      if (size < rest.length) this.send(rest.subarray(size))
    }, unit() * 6)
  }
}
