import type { HttpRequest, HttpResponse } from 'uWebSockets.js'
import { Failure } from '../../src/base/failure.ts'
import { documentSchema } from '../../src/config/schema.ts'
import { readRequestHead } from '../../src/downstream/request-head.ts'
import { ResponseWriter } from '../../src/downstream/response-writer.ts'
import { Headers } from '../../src/http/headers.ts'
import { RouteMatch, type Router, RouterBuilder } from '../../src/routing/router.ts'
import { ResponseParser } from '../../src/upstream/response-parser.ts'
import { nanosecondsPerCall } from '../measure/per-call.ts'
import { median, round, spreadOf } from '../measure/statistics.ts'
import type { Effort, Row, Scenario } from '../scenario.ts'
import { manyRoutes, routePath } from '../subjects/gateway.ts'

/** The parts that every request passes, each alone and warm: what they cost at the least. */
export const micro: Scenario = {
  name: 'micro',
  question: 'what do router, head parser and writer cost by themselves?',
  run: async effort => {
    const subjects: Record<string, (index: number) => number> = {
      'router, 10 routes': routing(10), 'router, 1000 routes': routing(1000), 'router, 50000 routes': routing(50_000),
      'request head, 8 lines': requestHead(), 'response head, 8 lines': responseHead(), 'chunked body, 16 chunks': chunkedBody(),
      'response writer, 8 lines': writer(),
    }
    const rows = Object.entries(subjects).map(([subject, call]) => rowOf(subject, call, effort))
    const ofRouter = (count: number): number => Number(rows.find(row => row.subject === `router, ${count} routes`)!['ns/call'])
    return {
      rows,
      verdicts: [{ what: 'one match, 50,000 routes / 10 routes', value: round(ofRouter(50_000) / ofRouter(10)), spread: null, atMost: null }],
      chart: 'ns/call',
    }
  },
}

function rowOf(subject: string, call: (index: number) => number, effort: Effort): Row {
  const samples = Array.from({ length: effort.rounds }, () => nanosecondsPerCall(call, effort.seconds / 3))
  const [least, greatest] = spreadOf(samples)
  return { subject, 'ns/call': round(median(samples), 0), least: round(least, 0), greatest: round(greatest, 0) }
}

function routing(count: number): (index: number) => number {
  const builder = new RouterBuilder<number>()
  const document = documentSchema.parse({ upstreams: { backend: { endpoints: ['http://127.0.0.1:1'] } }, routes: manyRoutes(count) })
  document.routes.forEach((route, i) => builder.add(route, i))
  const router: Router<number> = builder.build()
  const paths = Array.from({ length: Math.min(count, 10_000) }, (_, i) => routePath(i * 7919 % count, String(i)))
  const headers = new Headers()
  const into = new RouteMatch<number>()
  return index => {
    if (router.match('GET', 'bench', paths[index % paths.length]!, '', headers, into) !== 'matched') throw new Error('no match')
    return into.target!
  }
}

const LINES: readonly (readonly [string, string])[] = [
  ['host', 'api.example.com'], ['user-agent', 'curl/7.88.1'], ['accept', 'application/json, text/plain;q=0.9'], ['accept-encoding', 'gzip, br'],
  ['authorization', 'Bearer 0123456789abcdef0123456789abcdef'], ['x-request-id', '5f0c7a4e-9f0b-4e29-8f0b-1b1b8a8c9c11'],
  ['cache-control', 'no-cache'], ['cookie', 'session=0123456789abcdef; theme=dark'],
]

function requestHead(): (index: number) => number {
  const request = {
    forEach: (line: (name: string, value: string) => void) => LINES.forEach(([name, value]) => line(name, value)),
    getCaseSensitiveMethod: () => 'GET', getUrl: () => '/v1/users/42/orders', getQuery: () => 'page=2&sort=name',
  } as unknown as HttpRequest
  return () => {
    const head = readRequestHead(request, { maxUriBytes: 8192 })
    if (head instanceof Failure) throw head
    return head.headers.lines.length
  }
}

const HEAD = `HTTP/1.1 200 OK\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\ncontent-type: application/json\r\netag: "33a64df5"\r\n`
  + 'cache-control: max-age=60\r\nvary: accept-encoding\r\nx-frame-options: DENY\r\nserver: bench\r\n'

/** One answer through the parser. */
function parsing(answer: string): (index: number) => number {
  const bytes = Buffer.from(answer, 'latin1')
  let count = 0
  const parser = new ResponseParser({ awaitedMethod: () => 'GET', onHead: head => { count += head.status }, onBody: chunk => { count += chunk.length }, onComplete: () => {} }, 32_768)
  return () => {
    const failure = parser.execute(bytes, bytes.length)
    if (failure !== null) throw failure
    return count
  }
}

const responseHead = (): (index: number) => number => parsing(`${HEAD}content-length: 2\r\n\r\nok`)
const chunkedBody = (): (index: number) => number => parsing(`${HEAD}transfer-encoding: chunked\r\n\r\n${'40\r\n' .concat('x'.repeat(64), '\r\n').repeat(16)}0\r\n\r\n`)

function writer(): (index: number) => number {
  let bytes = 0
  const response = {
    cork: (write: () => void) => write(),
    writeStatus: (status: string) => { bytes += status.length },
    writeHeader: (name: string, value: string) => { bytes += name.length + value.length },
    end: (body: Buffer) => { bytes += body.length },
  } as unknown as HttpResponse
  const headers = new Headers()
  for (const [name, value] of LINES) headers.add(name, value)
  const body = Buffer.alloc(200, 'x')
  return () => {
    new ResponseWriter(response, () => {}).begin({ status: 200, lines: headers, contentLength: body.length }, false, body, true, false)
    return bytes
  }
}
