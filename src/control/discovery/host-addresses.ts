import { lookup, type Resolver } from 'node:dns/promises'
import type { RecordWithTtl } from 'node:dns'
import { isIP } from 'node:net'
import { LookupError } from './lookup-loop.ts'
import { codeOf, problemOfName } from './name-server.ts'
import { OneAtATime } from './one-at-a-time.ts'

/** Resolved again at least so often, whatever the TTL: a name that moves in a hurry was seldom given a short one before. */
export const MAX_TTL_MS = 300_000

export type Addresses = {
  /** Never empty; sorted, each once. */
  readonly addresses: readonly string[]
  /** Of the record that is gone first, from `intervalMs` to five minutes; `intervalMs` where nobody tells. */
  readonly ttlMs: number
  /** When one family could not be asked and has the addresses of before. */
  readonly problem: string | null
}

type Family = { readonly addresses: readonly string[]; readonly ttlMs: number } | { readonly code: string }
type HostOptions = {
  readonly intervalMs: number
  /** Ask the system (which reads /etc/hosts and has search domains) where the name servers know nothing. */
  readonly usesSystem: boolean
}

/** The addresses of one name, IPv4 and IPv6; an address is the name of itself. */
export class HostAddresses {
  readonly #name: string
  readonly #options: HostOptions
  readonly #system = new OneAtATime<readonly string[]>()
  /** What each family (IPv4, IPv6) had when it was last known. */
  #known: [readonly string[], readonly string[]] = [[], []]

  constructor(name: string, options: HostOptions) {
    this.#name = name
    this.#options = options
  }

  /**
   * A family that fails while the other has addresses keeps what it had: some name servers never answer for AAAA.
   * LookupError when neither family has any.
   */
  async look(resolver: Resolver, signal: AbortSignal): Promise<Addresses> {
    if (isIP(this.#name) !== 0) return { addresses: [this.#name], ttlMs: Math.max(MAX_TTL_MS, this.#options.intervalMs), problem: null }
    const usesSystem = this.#options.usesSystem
    // RFC 6761 section 6.3: not for name servers, which may not even know it.
    if (usesSystem && /^(?:.*\.)?localhost\.?$/i.test(this.#name)) return this.#askSystem('ENOTFOUND', signal)
    const ipv4 = familyOf(resolver.resolve4(this.#name, { ttl: true }))
    const ipv6 = familyOf(resolver.resolve6(this.#name, { ttl: true }))
    const families = await Promise.all([ipv4, ipv6])
    if (families.some(family => 'addresses' in family)) return this.#take(families)
    const codes = families.map(family => 'code' in family ? family.code : '')
    // A family without records says less than one that could not be asked.
    const code = codes.find(code => !isNone(code)) ?? codes.find(code => code === 'ENODATA') ?? 'ENOTFOUND'
    if (usesSystem) return this.#askSystem(code, signal)
    throw new LookupError(problemOfName(this.#name, code))
  }

  #take(families: readonly [Family, Family]): Addresses {
    let problem: string | null = null
    let ttlMs = MAX_TTL_MS
    const take = (family: Family, known: readonly string[]): readonly string[] => {
      if ('addresses' in family) {
        ttlMs = Math.min(ttlMs, family.ttlMs)
        return family.addresses
      }
      if (isNone(family.code) || known.length === 0) return []
      problem = problemOfName(this.#name, family.code)
      ttlMs = 0
      return known
    }
    this.#known = [take(families[0], this.#known[0]), take(families[1], this.#known[1])]
    return { addresses: this.#known.flat(), ttlMs: Math.max(ttlMs, this.#options.intervalMs), problem }
  }

  /** `code`: what the name servers said. */
  async #askSystem(code: string, signal: AbortSignal): Promise<Addresses> {
    const addresses = await this.#system.run(() => systemAddresses(this.#name), signal)
    if (addresses.length === 0) throw new LookupError(problemOfName(this.#name, code))
    this.#known = [addresses.filter(address => isIP(address) === 4), addresses.filter(address => isIP(address) === 6)]
    return { addresses: this.#known.flat(), ttlMs: this.#options.intervalMs, problem: null }
  }
}

async function familyOf(answer: Promise<RecordWithTtl[]>): Promise<Family> {
  try {
    const records = await answer
    if (records.length === 0) return { code: 'ENODATA' }
    return {
      addresses: [...new Set(records.map(record => record.address))].sort(),
      ttlMs: Math.min(...records.map(record => record.ttl)) * 1000,
    }
  } catch (cause) {
    return { code: codeOf(cause) }
  }
}

/** The name, or its records of this family, do not exist; anything else is a failure. */
const isNone = (code: string): boolean => code === 'ENOTFOUND' || code === 'ENODATA'

/** Empty when the system finds none, for whatever reason. */
async function systemAddresses(name: string): Promise<readonly string[]> {
  try {
    const found = await lookup(name, { all: true })
    // A zone index (fe80::1%eth0) can't stand in a URL.
    return [...new Set(found.map(({ address }) => address))].filter(address => !address.includes('%')).sort()
  } catch {
    return []
  }
}
