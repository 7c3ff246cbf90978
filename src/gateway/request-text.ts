import type { RequestHead } from '../http/message.ts'

/**
 * The head of a request as bytes go out, in one string: one write. Lines have been checked where they came in, and what
 * templates put in can't hold a line end. `path` is without the query; `forwarding` is empty or whole lines.
 */
export function requestText(head: RequestHead, path: string, host: string, forwarding: string): string {
  let text = head.query === ''
    ? `${head.method} ${path}${versionAndHost(host)}${forwarding}`
    : `${head.method} ${path}?${head.query}${versionAndHost(host)}${forwarding}`
  const { lines } = head.headers
  for (let i = 0; i < lines.length; i += 2) text += `${lines[i]!}: ${lines[i + 1]!}\r\n`
  if (head.isChunked) text += 'transfer-encoding: chunked\r\n\r\n'
  // An announced length of 0 is passed on too: for a POST it says that the body was not forgotten.
  else if (head.contentLength !== null) text += `content-length: ${head.contentLength}\r\n\r\n`
  else text += '\r\n'
  return text
}

let lastHost = ''
let lastVersionAndHost = ''

/** Kept from the last request, and joined: V8 would put a sum together anew at every write. */
function versionAndHost(host: string): string {
  if (host === lastHost) return lastVersionAndHost
  lastHost = host
  return lastVersionAndHost = [' HTTP/1.1\r\nhost: ', host, '\r\n'].join('')
}
