import { App, type HttpResponse } from 'uWebSockets.js'

/**
 * An endpoint that may be slow or fail. Arguments: its port, how long it takes (ms), the status it answers. `GET /count`
 * answers how many other requests it has had.
 */
const [port, delayMs, status] = process.argv.slice(2).map(Number) as [number, number, number]
const body = Buffer.alloc(200, 'x')
let count = 0
App().any('/*', (response: HttpResponse, request) => {
  if (request.getUrl() === '/count') {
    response.end(String(count))
    return
  }
  count++
  let isOpen = true
  const answer = (): void => {
    if (isOpen) response.cork(() => response.writeStatus(String(status)).writeHeader('content-type', 'text/plain').end(body))
  }
  if (delayMs === 0) return answer()
  response.onAborted(() => { isOpen = false })
  setTimeout(answer, delayMs)
}).listen('127.0.0.1', port, () => {})
