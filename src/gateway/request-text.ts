import type { RequestHead } from '../http/message.ts'

/**
 * The head of a request as bytes go out, in one string: one write. Lines have been checked where they came in, and what
 * templates put in can't hold a line end. `path` is without the query; `forwarding` is empty or whole lines.
 */
export function requestText(head: RequestHead, path: string, host: string, forwarding: string): string {
  const { lines } = head.headers
  let text = head.query === ''
    ? `${head.method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`
    : `${head.method} ${path}?${head.query} HTTP/1.1\r\nhost: ${host}\r\n`
  for (let i = 0; i < lines.length; i += 2) text += `${lines[i]!}: ${lines[i + 1]!}\r\n`
  text += forwarding
  if (head.isChunked) text += 'transfer-encoding: chunked\r\n\r\n'
  // An announced length of 0 is passed on too: for a POST it says that the body was not forgotten.
  else if (head.contentLength !== null) text += `content-length: ${head.contentLength}\r\n\r\n`
  else text += '\r\n'
  return text
}
