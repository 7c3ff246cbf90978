import { nowMs } from '../../base/clock.ts'
import type { EndpointTables } from '../../protocol/endpoint-table.ts'

/** What `GET /admin/status` answers; as `Status` in schemas.ts. */
export type GatewayStatus = {
  readonly version: string
  readonly startedAt: string
  readonly uptimeMs: number
  readonly workers: { readonly configured: number; readonly ready: number }
  readonly upstreams: Readonly<Record<string, { readonly endpoints: readonly EndpointStatus[] }>>
}

export type EndpointStatus = { readonly url: string; readonly isHealthy: boolean; readonly priority: number; readonly zone: string | null }

export type StatusParts = { readonly version: string; readonly workers: GatewayStatus['workers']; readonly tables: EndpointTables }

/** Tells the status of a gateway that starts now. */
export function createStatus(parts: () => StatusParts): () => GatewayStatus {
  const startedAt = new Date().toISOString()
  const startMs = nowMs()
  return () => {
    const { version, workers, tables } = parts()
    return { version, startedAt, uptimeMs: Math.round(nowMs() - startMs), workers, upstreams: upstreamStatus(tables) }
  }
}

function upstreamStatus(tables: EndpointTables): GatewayStatus['upstreams'] {
  return Object.fromEntries(Object.entries(tables).map(([name, { endpoints, unhealthy }]) => [name, {
    endpoints: endpoints.map(({ url, priority = 0, zone = null }) => ({ url, isHealthy: !unhealthy.includes(url), priority, zone })),
  }]))
}
