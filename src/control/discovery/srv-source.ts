import type { Resolver } from 'node:dns/promises'
import { nowMs } from '../../base/clock.ts'
import { type DnsOptions, foundEndpoint } from './dns-source.ts'
import { HostAddresses } from './host-addresses.ts'
import { type FoundEndpoint, type Lookup, LookupError } from './lookup-loop.ts'
import { codeOf, NameServer, problemOfName } from './name-server.ts'

export type SrvOptions = DnsOptions & { readonly scheme: 'http' | 'https' }

type Service = { readonly target: string; readonly port: number; readonly priority: number; readonly weight: number }

/** What is left is for the system, as with `dns`. */
const SERVICES_SHARE = 1 / 2
const TARGETS_SHARE = 3 / 8

/** As many groups as `priority` of an endpoint has. */
const LAST_GROUP = 9
const MAX_WEIGHT = 1000

/**
 * Every address of every target of the SRV records of `name`. Groups: the lowest priority is 0, the next one 1, and so on
 * to 9, which takes the rest too. The records are asked for every `intervalMs`, since Node.js does not tell their TTL;
 * targets by their own. A target that can't be resolved keeps the addresses it had; one that had none is left out.
 * A single target `.` says that there is no service: an empty list.
 * Source: RFC 2782 (a weight of 0 gets little, but something: 1 here; those above 1000 count as 1000).
 */
export function createSrvLookup(name: string, { scheme, resolver, intervalMs, timeoutMs }: SrvOptions): Lookup {
  const server = new NameServer(resolver)
  const targets = new Map<string, Target>()
  return async signal => {
    const services = await server.ask(timeoutMs * SERVICES_SHARE, signal, resolver => servicesOf(name, resolver))
    const names = new Set(services.map(({ target }) => target))
    for (const known of targets.keys()) if (!names.has(known)) targets.delete(known)
    for (const target of names) {
      if (!targets.has(target)) targets.set(target, new Target(target, { intervalMs, usesSystem: server.isOfSystem }))
    }
    await server.ask(timeoutMs * TARGETS_SHARE, signal, async resolver => {
      await Promise.all([...targets.values()].map(target => target.update(resolver, signal)))
    })
    const all = [...targets.values()]
    const problem = all.find(target => target.problem !== null)?.problem ?? null
    if (problem !== null && all.every(({ addresses }) => addresses.length === 0)) throw new LookupError(problem)
    return { endpoints: endpointsOf(services, targets, scheme), nextMs: intervalMs, problem }
  }
}

/** In an order of their own: name servers turn the records round. */
async function servicesOf(name: string, resolver: Resolver): Promise<Service[]> {
  try {
    const records = await resolver.resolveSrv(name)
    return records
      .map(({ name, port, priority, weight }) => ({ target: name.toLowerCase().replace(/\.$/, ''), port, priority, weight }))
      .filter(({ target, port }) => target !== '' && port !== 0)
      .sort((left, right) => left.priority - right.priority || compare(left.target, right.target) || left.port - right.port || right.weight - left.weight)
  } catch (cause) {
    throw new LookupError(problemOfName(name, codeOf(cause)))
  }
}

const compare = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

/** An address and port that stands twice counts once, in the first group that has it. */
function endpointsOf(services: readonly Service[], targets: ReadonlyMap<string, Target>, scheme: string): FoundEndpoint[] {
  const priorities = [...new Set(services.map(({ priority }) => priority))]
  const endpoints = new Map<string, FoundEndpoint>()
  for (const { target, port, priority, weight } of services) {
    for (const address of targets.get(target)?.addresses ?? []) {
      const endpoint = {
        ...foundEndpoint(`${scheme}:`, address, port, target),
        weight: Math.min(Math.max(weight, 1), MAX_WEIGHT),
        priority: Math.min(priorities.indexOf(priority), LAST_GROUP),
      }
      if (!endpoints.has(endpoint.url)) endpoints.set(endpoint.url, endpoint)
    }
  }
  return [...endpoints.values()]
}

/** A host that SRV records name, with what it was last resolved to. */
class Target {
  readonly #host: HostAddresses
  readonly #intervalMs: number
  #resolveAtMs = 0
  addresses: readonly string[] = []
  problem: string | null = null

  constructor(name: string, options: { readonly intervalMs: number; readonly usesSystem: boolean }) {
    this.#host = new HostAddresses(name, options)
    this.#intervalMs = options.intervalMs
  }

  async update(resolver: Resolver, signal: AbortSignal): Promise<void> {
    if (nowMs() < this.#resolveAtMs) return
    try {
      const { addresses, ttlMs, problem } = await this.#host.look(resolver, signal)
      this.addresses = addresses
      this.problem = problem
      // In the round that is nearest to the end of the TTL.
      this.#resolveAtMs = nowMs() + ttlMs - this.#intervalMs / 2
    } catch (cause) {
      this.problem = (cause as Error).message
    }
  }
}
