import { App, type HttpResponse } from 'uWebSockets.js'

/** The upstream of every bench: a body of so many bytes at `/b/BYTES`, as cheaply as can be. Argument: its port. */
const bodies = new Map([200, 10_240, 102_400].map(size => [`/b/${size}`, Buffer.alloc(size, 'x')]))
App().any('/*', (response: HttpResponse, request) => {
  const body = bodies.get(request.getUrl())
  response.writeHeader('content-type', 'text/plain').end(body ?? 'ok')
}).listen('127.0.0.1', Number(process.argv[2]), () => {})
