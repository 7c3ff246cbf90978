import { loadSnapshot } from '../config/load.ts'
import type { RouteConfig } from '../config/schema.ts'

type Row = { id: string; methods: string; hosts: string; path: string; conditions: string; destination: string }

/** Prints the routes of a document, as a table or as JSON. */
export function listRoutes(file: string, asJson: boolean): number {
  const rows = loadSnapshot(file, process.env).document.routes.map(rowOf)
  process.stdout.write(asJson ? `${JSON.stringify(rows, null, 2)}\n` : table(rows))
  return 0
}

function rowOf(route: RouteConfig): Row {
  const { id, match } = route
  const pairs = [...Object.entries(match.headers).map(([k, v]) => `${k}: ${v}`), ...Object.entries(match.query).map(([k, v]) => `?${k}=${v}`)]
  return {
    id,
    methods: match.methods?.join(',') ?? '*',
    hosts: match.hosts?.join(',') ?? '*',
    path: match.path,
    conditions: pairs.join(' '),
    destination: destinationOf(route),
  }
}

function destinationOf({ upstream, split, mock }: RouteConfig): string {
  if (upstream !== undefined) return `upstream ${upstream}`
  return split === undefined ? `mock ${mock?.status}` : `split ${split.map(part => `${part.upstream} ${part.weight}`).join(', ')}`
}

function table(rows: readonly Row[]): string {
  const header: Row = { id: 'ID', methods: 'METHODS', hosts: 'HOSTS', path: 'PATH', conditions: 'CONDITIONS', destination: 'DESTINATION' }
  const keys = Object.keys(header) as (keyof Row)[]
  const widths = keys.map(key => [header, ...rows].reduce((width, row) => Math.max(width, row[key].length), 0))
  const line = (row: Row): string => keys.map((key, i) => row[key].padEnd(widths[i]!)).join('  ').trimEnd()
  return `${[header, ...rows].map(line).join('\n')}\n`
}
