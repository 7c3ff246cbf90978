import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'

const GIB = 1_073_741_824
const MIB = 1_048_576
/** What a gateway may grow by while bodies pass through it: some buffers, and what the collector leaves lying. */
const BOUND_MIB = 96

t.setTimeout(240_000)
const block = Buffer.alloc(MIB, 'b')
let read = 0
const pour = async (stream: NodeJS.WritableStream, bytes: number): Promise<void> => {
  for (let sent = 0; sent < bytes; sent += block.length) {
    if (!stream.write(block)) await new Promise<void>(resolve => stream.once('drain', resolve))
  }
  stream.end()
}

const server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
  const bytes = Number(incoming.url!.split('/').at(-1))
  if (incoming.method === 'POST') {
    read = 0
    const isSlow = incoming.url!.includes('/slow/')
    // A reader that takes nothing for a while, and then all.
    if (isSlow) {
      incoming.pause()
      setTimeout(() => incoming.resume(), 1000)
    }
    incoming.on('data', (chunk: Buffer) => { read += chunk.length })
    incoming.on('end', () => response.end(String(read)))
    return
  }
  response.writeHead(200, incoming.url!.includes('/sized/') ? { 'content-length': bytes } : {})
  response.on('error', () => {})
  void pour(response, bytes)
})
await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
const gateway = await GatewayProcess.start({
  accessLog: null,
  bounds: { maxBodyBytes: 2 * GIB },
  // A gigabyte from a client on the same machine can hold a loop up for half a second, and then routes are shed.
  shedding: null,
  upstreams: { u: { endpoints: [`http://127.0.0.1:${(server.address() as AddressInfo).port}`] } },
  routes: [{ id: 'all', match: { path: '/{rest+}' }, upstream: 'u', timeoutMs: 120_000 }],
})
t.teardown(async () => {
  await gateway.stop()
  server.close()
  server.closeAllConnections()
})

for (const { desc, path } of [
  { desc: 'of known length', path: '/sized' },
  { desc: 'in chunks', path: '/chunked' },
]) {
  t.test(`a response of 1 GB ${desc} passes with bounded memory`, async t => {
    const before = gateway.peakMiB
    const bytes = await new Promise<number>((resolve, reject) => {
      request({ port: gateway.port, path: `${path}/${GIB}`, agent: false }, response => {
        let count = 0
        response.on('data', (chunk: Buffer) => { count += chunk.length })
        response.on('end', () => resolve(count))
        response.on('error', reject)
      }).on('error', reject).end()
    })
    t.equal(bytes, GIB)
    t.ok(gateway.peakMiB - before < BOUND_MIB, `grew from ${before} to ${gateway.peakMiB} MiB`)
  })

  t.test(`a request of 1 GB ${desc} passes with bounded memory`, async t => {
    const before = gateway.peakMiB
    const answer = await new Promise<string>((resolve, reject) => {
      const outgoing = request({
        port: gateway.port, path: `${path}/0`, method: 'POST', agent: false, headers: path === '/sized' ? { 'content-length': GIB } : {},
      }, response => response.on('data', (chunk: Buffer) => resolve(String(chunk))))
      outgoing.on('error', reject)
      void pour(outgoing, GIB)
    })
    t.equal(answer, String(GIB))
    t.ok(gateway.peakMiB - before < BOUND_MIB, `grew from ${before} to ${gateway.peakMiB} MiB`)
  })
}

t.test('an upstream that reads nothing holds the client up, not the memory', async t => {
  const before = gateway.peakMiB
  const bytes = 256 * MIB
  const answer = await new Promise<string>((resolve, reject) => {
    const outgoing = request({ port: gateway.port, path: '/slow/0', method: 'POST', agent: false, headers: { 'content-length': bytes } },
      response => response.on('data', (chunk: Buffer) => resolve(String(chunk))))
    outgoing.on('error', reject)
    void pour(outgoing, bytes)
  })
  t.equal(answer, String(bytes))
  t.ok(gateway.peakMiB - before < BOUND_MIB, `grew from ${before} to ${gateway.peakMiB} MiB`)
})

t.test('100 clients that read nothing hold the upstream up, not the memory; then each gets all of it', async t => {
  const before = gateway.peakMiB
  const bytes = 8 * MIB
  const clients = Array.from({ length: 100 }, (_, index) => {
    const socket = connect(gateway.port, '127.0.0.1')
    socket.pause()
    const path = index % 2 === 0 ? `/sized/${bytes}` : `/chunked/${bytes}`
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    return socket
  })
  await sleep(1500)
  const grown = gateway.peakMiB - before
  const counts = await Promise.all(clients.map(socket => new Promise<number>(resolve => {
    let letters = 0
    let isBody = false
    socket.on('data', (chunk: Buffer) => {
      if (!isBody) {
        const end = chunk.indexOf('\r\n\r\n')
        isBody = end >= 0
        chunk = isBody ? chunk.subarray(end + 4) : Buffer.alloc(0)
      }
      for (const byte of chunk) if (byte === 0x62) letters++
    })
    socket.on('close', () => resolve(letters))
    socket.resume()
  })))
  // Sizes of chunks are hexadecimal and may hold a 'b'.
  for (const [index, count] of counts.entries()) t.ok(index % 2 === 0 ? count === bytes : count >= bytes && count < bytes + 10_000, `${count} bytes`)
  t.ok(grown < 100, `grew by ${grown} MiB`)
})
