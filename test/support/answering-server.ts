import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request with its whole body. */
export type AskedRequest = { readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: string }

/** An HTTP server on port 0 that keeps what it was asked. */
export async function answeringServer(answer: (request: AskedRequest, response: ServerResponse) => void): Promise<{ url: string; asked: AskedRequest[]; close: () => Promise<void> }> {
  const asked: AskedRequest[] = []
  const server = createServer(async (message, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const request = { method: message.method!, url: message.url!, headers: message.headers, body: Buffer.concat(chunks).toString() }
    asked.push(request)
    answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked,
    close: () => new Promise<void>(resolve => {
      server.closeAllConnections()
      server.close(() => resolve())
    }),
  }
}
