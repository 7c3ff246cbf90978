import { BlockList, isIP } from 'node:net'
import { Failure } from '../base/failure.ts'
import { RecentMap } from './auth/recent-map.ts'
import type { Policy, PolicyExchange, PolicySpec, Verdict } from './policy.ts'

/** Addresses whose answer is remembered, of one route. */
const MAX_KNOWN = 4096

/**
 * Which addresses a route answers: those of `allow` (none: all) but those of `deny`. Behind trusted proxies it is the
 * client's address that counts.
 *
 * Failures: GW_FORBIDDEN.
 */
export const ip: PolicySpec = {
  name: 'ip',
  create: route => (route.ip === undefined ? null : new Ip(route.ip)),
}

export class Ip implements Policy {
  readonly #allow: BlockList | null
  readonly #deny: BlockList
  // BlockList makes an object of every address it is asked for.
  readonly #known = new RecentMap<boolean>({ maxEntries: MAX_KNOWN, maxChars: MAX_KNOWN * 48 })

  /** Addresses or CIDR ranges, validated before. */
  constructor({ allow, deny }: { readonly allow: readonly string[]; readonly deny: readonly string[] }) {
    this.#allow = allow.length === 0 ? null : listOf(allow)
    this.#deny = listOf(deny)
  }

  onRequest({ clientIp }: PolicyExchange): Verdict {
    let isLetIn = this.#known.get(clientIp)
    if (isLetIn === undefined) {
      isLetIn = this.#letsIn(clientIp)
      this.#known.set(clientIp, isLetIn)
    }
    return isLetIn ? null : new Failure('GW_FORBIDDEN', 'address')
  }

  #letsIn(address: string): boolean {
    const family = isIP(address)
    if (family === 0) return false
    const name = family === 6 ? 'ipv6' : 'ipv4'
    return !this.#deny.check(address, name) && (this.#allow === null || this.#allow.check(address, name))
  }
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList()
  for (const range of ranges) {
    const [address = '', bits] = range.split('/')
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return list
}
