import type { UpstreamConfig } from '../../config/schema.ts'
import { createDnsLookup } from './dns-source.ts'
import { createFileLookup } from './file-source.ts'
import { type DiscoveryEvents, type EndpointSource, type Lookup, LookupLoop } from './lookup-loop.ts'
import { createSrvLookup } from './srv-source.ts'
import { createUrlLookup } from './url-source.ts'

export type DiscoveryConfig = NonNullable<UpstreamConfig['discovery']>

/**
 * The source that `discovery` of an upstream names; it does nothing before `start` or `refresh`. Throws for what the
 * checks of a document refuse: none of `dns`, `srv`, `file` and `url`, or a resolver that is no address.
 */
export function createSource(config: DiscoveryConfig, events: DiscoveryEvents): EndpointSource {
  return new LookupLoop(lookupOf(config), config, events)
}

function lookupOf(config: DiscoveryConfig): Lookup {
  if (config.dns !== undefined) return createDnsLookup(config.dns, config)
  if (config.srv !== undefined) return createSrvLookup(config.srv, config)
  if (config.file !== undefined) return createFileLookup(config.file, config)
  if (config.url !== undefined) return createUrlLookup(config.url, config)
  throw new Error('discovery: one of dns, srv, file and url is needed')
}
