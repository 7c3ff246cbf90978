import { isIPv6 } from 'node:net'
import type { PolicyExchange } from './policy.ts'

/** What of an exchange is counted together, as a text. Texts of different kinds differ. */
export type LimitKey = (exchange: PolicyExchange) => string

/**
 * Compiles `consumer`, `ip`, `route` or `header:NAME` of the document. Who has no identity, or does not send the header,
 * is counted by address: one bucket for all of them would let one of them shut out the rest. Who is known by subject only is
 * one per authenticator, since two of them may give the same name to different people.
 */
export function compileLimitKey(key: string, ipv6PrefixBits: number): LimitKey {
  const byIp: LimitKey = ({ clientIp }) => (clientIp.includes(':') ? `i ${ipv6Prefix(clientIp, ipv6PrefixBits)}` : `i ${clientIp}`)
  if (key === 'ip') return byIp
  if (key === 'route') return () => 'r'
  if (key === 'consumer') return exchange => {
    const { identity } = exchange
    if (identity === null) return byIp(exchange)
    return identity.consumer === null ? `s ${identity.authenticator} ${identity.subject}` : `c ${identity.consumer.id}`
  }
  const name = key.slice('header:'.length).toLowerCase()
  return exchange => {
    // Host stands in a field of the head, not among its lines.
    const value = name === 'host' ? exchange.request.host : exchange.request.headers.get(name)
    return value === undefined ? byIp(exchange) : `h ${value}`
  }
}

/**
 * The first bits of an IPv6 address as eight groups; the same for every way to write it. An IPv4 address that is written
 * as IPv6 (::ffff:a.b.c.d) is that address. A text that is none stays as it is.
 */
export function ipv6Prefix(address: string, bits: number): string {
  const zone = address.indexOf('%')
  const text = zone === -1 ? address : address.slice(0, zone)
  if (!isIPv6(text)) return text
  const [head, tail] = text.split('::') as [string, string | undefined]
  const first = groupsOf(head)
  const last = tail === undefined ? [] : groupsOf(tail)
  const groups = [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
  if (groups.slice(0, 5).every(group => group === 0) && groups[5] === 0xffff) {
    return `${groups[6]! >> 8}.${groups[6]! & 0xff}.${groups[7]! >> 8}.${groups[7]! & 0xff}`
  }
  return groups.map((group, index) => (group & maskOf(bits - 16 * index)).toString(16)).join(':')
}

function groupsOf(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(part => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a, b, c, d] = part.split('.').map(Number) as [number, number, number, number]
    return [a << 8 | b, c << 8 | d]
  })
}

const maskOf = (bits: number): number => (bits >= 16 ? 0xffff : bits <= 0 ? 0 : 0xffff << 16 - bits & 0xffff)
