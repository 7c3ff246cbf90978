// A small HTTP server to stand behind the quick start: answers with what it was asked.
import { createServer } from 'node:http'

const port = Number(process.env.DEMO_PORT ?? 3001)
createServer((request, response) => {
  request.resume()
  request.on('end', () => {
    response.setHeader('content-type', 'application/json')
    response.end(`${JSON.stringify({ method: request.method, path: request.url, headers: request.headers }, null, 2)}\n`)
  })
}).listen(port, '127.0.0.1')
