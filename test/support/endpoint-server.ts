import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** The process behind `EndpointProcess`: `/n/NUMBER` is answered with `number NUMBER`, after as long as it was told. */
export type EndpointOrder = { readonly delayMs: number }
export type EndpointReport = { readonly port: number }

let delayMs = 0
const server = createServer((incoming, response) => {
  const body = `number ${incoming.url!.split('?', 1)[0]!.split('/').at(-1)}`
  const answer = (): void => { response.writeHead(200, { 'content-length': body.length }).end(body) }
  if (delayMs === 0) answer()
  else setTimeout(answer, delayMs)
})
// Longer than the gateway keeps a connection: who closes first is not what these tests ask.
server.keepAliveTimeout = 120_000
server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  process.send!({ port: (server.address() as AddressInfo).port } satisfies EndpointReport)
})
process.on('message', (order: EndpointOrder) => { delayMs = order.delayMs })
// No test leaves one behind.
process.on('disconnect', () => process.exit())
