import { isIP } from 'node:net'
import { HostAddresses, MAX_TTL_MS } from './host-addresses.ts'
import type { FoundEndpoint, Lookup } from './lookup-loop.ts'
import { NameServer } from './name-server.ts'

export type DnsOptions = { readonly resolver: string | null; readonly intervalMs: number; readonly timeoutMs: number }

/** The rest of the time limit is for the system, which is asked where the name servers know nothing. */
const RESOLVER_SHARE = 3 / 4

/**
 * Every address of the host in `url` is an endpoint. Looked up again when the first record's TTL ends, at the latest in
 * five minutes, but never sooner than in `intervalMs`. Without `resolver`, a name that the name servers don't know is looked
 * up by the system (/etc/hosts, search domains), which tells no TTL: it is `intervalMs` then.
 */
export function createDnsLookup(url: string, { resolver, intervalMs, timeoutMs }: DnsOptions): Lookup {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const server = new NameServer(resolver)
  if (isIP(host) !== 0) {
    const endpoints = [foundEndpoint(protocol, host, port, host)]
    return async () => ({ endpoints, nextMs: Math.max(intervalMs, MAX_TTL_MS), problem: null })
  }
  const hostAddresses = new HostAddresses(host, { intervalMs, usesSystem: server.isOfSystem })
  return signal => server.ask(timeoutMs * RESOLVER_SHARE, signal, async resolver => {
    const { addresses, ttlMs, problem } = await hostAddresses.look(resolver, signal)
    return { endpoints: addresses.map(address => foundEndpoint(protocol, address, port, host)), nextMs: ttlMs, problem }
  })
}

/** `protocol` with its colon; `port` '' is the one of the protocol; `host`: what was resolved to `address`. */
export function foundEndpoint(protocol: string, address: string, port: number | string, host: string): FoundEndpoint {
  const authority = isIP(address) === 6 ? `[${address}]` : address
  return {
    url: new URL(`${protocol}//${authority}${port === '' ? '' : `:${port}`}`).origin,
    weight: 1,
    priority: 0,
    zone: null,
    // The dot at the end is for name servers only: no certificate has it.
    name: isIP(host) === 0 ? host.replace(/\.$/, '') : null,
  }
}
