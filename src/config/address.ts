import { isIP } from 'node:net'

export type Problem = { readonly problem: string }

/** Where to listen; an IPv6 host without its brackets. */
export type Address = { readonly host: string; readonly port: number }

const HOST_NAME = /^(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/

/** Reads `host:port` or `[IPv6]:port`; port 0 is any free one. */
export function parseAddress(text: string): Address | Problem {
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (found === null) {
    if (isIP(text) === 6 || /:.*:/.test(text)) return { problem: 'an IPv6 host stands in brackets: write [host]:port' }
    return { problem: 'is not host:port: write for example 127.0.0.1:8080' }
  }
  const [, bracketed, plain = '', digits = ''] = found
  const port = Number(digits)
  if (port > 65_535) return { problem: `port ${digits} is out of range: 0 to 65535` }
  if (bracketed !== undefined) {
    return isIP(bracketed) === 6 ? { host: bracketed, port } : { problem: 'what stands in brackets is not an IPv6 address' }
  }
  if (plain === '') return { problem: 'the host is missing: write 0.0.0.0 for all addresses' }
  return isHostName(plain) ? { host: plain, port } : { problem: 'the host is neither a name nor an address' }
}

/** The null when `text` is an address or a range (CIDR) that `net.BlockList` takes. */
export function parseCidr(text: string): { readonly address: string; readonly bits: number } | Problem {
  const [address = '', digits, ...rest] = text.split('/')
  const family = address.includes('%') ? 0 : isIP(address)
  if (family === 0 || rest.length > 0) return { problem: 'is neither an address nor a range: write for example 10.0.0.0/8' }
  const most = family === 4 ? 32 : 128
  if (digits === undefined) return { address, bits: most }
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > most) return { problem: `the prefix of a range of IPv${family} is a number from 0 to ${most}` }
  return { address, bits: Number(digits) }
}

/** The problem of an endpoint's URL, or null. Nothing but scheme, host and port: the path comes from the request. */
export function problemOfEndpoint(text: string): string | null {
  const example = 'write for example http://10.0.0.1:3000'
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return `is not a URL: ${example}`
  if (scheme !== 'http' && scheme !== 'https') return `scheme '${scheme}' is not served: http or https`
  // Before the URL parser, which drops tabs and line ends and turns backslashes over.
  if (/[\s\\]/.test(text)) return 'holds a space or a backslash: remove it'
  if (!URL.canParse(text)) return `is not a URL: ${example}`
  const url = new URL(text)
  if (url.username !== '' || url.password !== '' || text.includes('@')) return 'holds credentials: remove them; a route can set a header'
  if (text.includes('?')) return 'holds a query: remove it; the query comes from the request'
  if (text.includes('#')) return 'holds a fragment: remove it'
  if (url.pathname !== '/') return 'holds a path: remove it; a route can set request.path'
  if (url.port === '0') return 'port 0 can\'t be connected to'
  if (!url.hostname.startsWith('[') && !isHostName(url.hostname)) return 'the host is neither a name nor an address'
  return null
}

function isHostName(text: string): boolean {
  if (isIP(text) === 4) return true
  // Four numbers that are no address would be looked up as a name.
  return text.length <= 253 && HOST_NAME.test(text) && !/^[\d.]+$/.test(text)
}
