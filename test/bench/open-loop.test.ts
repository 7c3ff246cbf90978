import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { openLoop } from '../../bench/measure/open-loop.ts'

async function listen(onRequest: Parameters<typeof createServer>[1]): Promise<{ server: Server; port: number }> {
  const server = createServer(onRequest!)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return { server, port: (server.address() as AddressInfo).port }
}
const answer = { 'content-length': 2 }

t.test('a stall is charged to all that would have come meanwhile', async t => {
  // Nothing is answered for half a second; a closed loop of one connection would count one slow request.
  const startMs = performance.now()
  const { port } = await listen((_request, response) => {
    const restMs = 500 - (performance.now() - startMs)
    setTimeout(() => response.writeHead(200, answer).end('ok'), Math.max(0, restMs))
  })
  const { requests, failures, p50Ms, greatestMs } = await openLoop({ port, path: () => '/', perSecond: 100, connections: 1, seconds: 0.8 })
  t.equal(requests, 80)
  t.equal(failures, 0)
  t.ok(greatestMs > 300, `${greatestMs} ms: the first waited for the whole of the stall`)
  t.ok(p50Ms > 5, `${p50Ms} ms: so did those that were due behind it`)
})

t.test('every request has its own path and its own sample', async t => {
  const paths = new Set<string>()
  const { port } = await listen((request, response) => {
    paths.add(request.url!)
    response.writeHead(200, answer).end('ok')
  })
  const intended: number[] = []
  const { requests } = await openLoop({
    port, path: index => `/${index}`, perSecond: 200, connections: 4, seconds: 0.5, onSample: intendedMs => intended.push(intendedMs),
  })
  t.equal(requests, 100)
  t.equal(paths.size, 100)
  t.strictSame(intended.toSorted((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i * 5))
})

t.test('answers that are no success, and connections that end, are failures', async t => {
  let count = 0
  const { port } = await listen((request, response) => {
    count++
    if (count % 10 === 0) request.socket.destroy()
    else response.writeHead(count % 5 === 0 ? 503 : 200, answer).end('ok')
  })
  const { requests, failures } = await openLoop({ port, path: () => '/', perSecond: 200, connections: 4, seconds: 0.5 })
  t.equal(requests, 100)
  t.equal(failures, 20)
})
