import { loadSnapshot } from '../config/load.ts'

/** Prints what a document would serve. Throws ConfigError with all that is wrong with it. */
export function check(file: string): number {
  const { version, document } = loadSnapshot(file, process.env)
  const addresses = document.listeners.map(({ address, tls }) => `${tls === undefined ? 'http' : 'https'}://${address}`)
  const upstreams = Object.entries(document.upstreams).map(([name, { endpoints, discovery }]) => `${name} (${endpoints.length}${discovery === null ? '' : ' and discovered ones'})`)
  process.stdout.write([
    `${file} is valid, version ${version}`,
    `listeners: ${addresses.join(', ')}`,
    `upstreams: ${upstreams.length === 0 ? 'none' : upstreams.join(', ')}`,
    `routes: ${document.routes.length}`,
    '',
  ].join('\n'))
  return 0
}
