import type { RequestHead } from '../http/message.ts'
import type { Peer } from './peers.ts'

/** Request ids that are taken over: visible ASCII, so that they can stand in a header and a log line. */
const IS_REQUEST_ID = /^[\x21-\x7e]{1,128}$/
// A value of Forwarded that is more than a token is quoted (RFC 7239 section 4).
const IS_TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** The request id of a trusted peer, or null. */
export function trustedRequestId(head: RequestHead, peer: Peer): string | null {
  if (!peer.isTrusted) return null
  const id = head.headers.get('x-request-id')
  return id !== undefined && IS_REQUEST_ID.test(id) ? id : null
}

/**
 * Says who asked, and over what: X-Forwarded-For, -Proto, -Host, Forwarded, Via, X-Request-Id. What a trusted peer
 * says of it is kept and added to; what anyone else says is dropped (Via apart, which says where a message has been).
 * Source: RFC 7239; RFC 9110 section 7.6.3.
 */
export function addForwarding(head: RequestHead, peer: Peer, isTls: boolean, requestId: string): void {
  const { headers, host } = head
  const before = head.hasForwarding ? takeForwarding(headers.lines, peer.isTrusted) : NOTHING
  const proto = isTls ? 'https' : 'http'
  headers.lines.push(
    'x-forwarded-for', before.for + peer.address,
    'x-forwarded-proto', before.proto ?? proto,
    'x-forwarded-host', before.host ?? host,
    'forwarded', before.forwarded + forwardedElement(peer, host, proto),
    'via', `${before.via}1.1 penstock`,
    'x-request-id', requestId,
  )
}

/**
 * The same as text, for the usual case: no peer before us has said anything, and no policy wants to see the lines.
 * The text of the last peer and host is kept, since most requests come by way of few of them.
 */
export function forwardingText(peer: Peer, host: string, isTls: boolean): string {
  if (peer === lastPeer && host === lastHost && isTls === lastIsTls) return lastText
  const proto = isTls ? 'https' : 'http'
  lastPeer = peer
  lastHost = host
  lastIsTls = isTls
  // Joined, since V8 would put a sum together anew for every request.
  lastText = [
    'x-forwarded-for: ', peer.address, '\r\nx-forwarded-proto: ', proto, '\r\nx-forwarded-host: ', host,
    '\r\nforwarded: ', forwardedElement(peer, host, proto), '\r\nvia: 1.1 penstock\r\nx-request-id: ',
  ].join('')
  return lastText
}

let lastPeer: Peer | null = null
let lastHost = ''
let lastIsTls = false
let lastText = ''

type Forwarding = { for: string; proto: string | null; host: string | null; forwarded: string; via: string }
const NOTHING: Forwarding = { for: '', proto: null, host: null, forwarded: '', via: '' }

/** Takes the lines out that say where a request came from; answers what of them is believed. */
function takeForwarding(lines: string[], isTrusted: boolean): Forwarding {
  const taken = { ...NOTHING }
  let kept = 0
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!
    const value = lines[i + 1]!
    if (name === 'via') taken.via += `${value}, `
    else if (name === 'x-request-id' || name === 'x-request-timeout-ms') continue
    else if (name === 'forwarded') taken.forwarded += isTrusted ? `${value}, ` : ''
    else if (name.startsWith('x-forwarded-') && !isTrusted) continue
    else if (name === 'x-forwarded-for') taken.for += `${value}, `
    else if (name === 'x-forwarded-proto') taken.proto = value
    else if (name === 'x-forwarded-host') taken.host = value
    else {
      lines[kept] = name
      lines[kept + 1] = value
      kept += 2
    }
  }
  lines.length = kept
  return taken
}

function forwardedElement(peer: Peer, host: string, proto: string): string {
  return `for=${peer.forwardedNode};host=${IS_TOKEN.test(host) ? host : `"${host}"`};proto=${proto}`
}
