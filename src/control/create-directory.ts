import type { EndpointTable } from '../protocol/endpoint-table.ts'
import type { Log } from '../telemetry/log.ts'
import { createSource } from './discovery/create-source.ts'
import { EndpointDirectory } from './endpoint-directory.ts'
import { Prober } from './health/prober.ts'

/** The directory of this process, with real sources and probers. */
export function createDirectory(log: Log, onChange: (upstream: string, table: EndpointTable) => void): EndpointDirectory {
  return new EndpointDirectory({
    createSource,
    createProber: (config, tlsOptions, events) => new Prober(config, tlsOptions, events, { random: Math.random }),
  }, log, { onChange })
}
