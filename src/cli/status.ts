import type { GatewayStatus } from '../control/admin/status.ts'
import { AdminClient, type AdminOptions } from './admin-client.ts'
import { textTable } from './text-table.ts'

/** Prints the state of a gateway that runs, through its admin API. */
export async function showStatus({ json, ...options }: AdminOptions & { readonly json: boolean }): Promise<number> {
  const status = await new AdminClient(options, process.env).ask<GatewayStatus>('GET', '/admin/status')
  process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : print(status))
  return 0
}

function print({ version, startedAt, uptimeMs, workers, upstreams }: GatewayStatus): string {
  const rows = Object.entries(upstreams).flatMap(([name, { endpoints }]) => (
    endpoints.length === 0 ? [[name, '(none)', '-']] : endpoints.map(({ url, isHealthy }) => [name, url, isHealthy ? 'healthy' : 'unhealthy'])
  ))
  return [
    `version ${version}, up for ${duration(uptimeMs)} since ${startedAt}\n`,
    `workers ${workers.ready} of ${workers.configured} ready\n`,
    rows.length === 0 ? '' : textTable(['UPSTREAM', 'ENDPOINT', 'HEALTH'], rows),
  ].join('')
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts = [[Math.floor(seconds / 86_400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'min'], [seconds % 60, 's']] as const
  const first = parts.findIndex(([count]) => count > 0)
  return first === -1 ? '0 s' : parts.slice(first, first + 2).map(([count, unit]) => `${count} ${unit}`).join(' ')
}
