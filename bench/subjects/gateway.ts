import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startProcess } from './processes.ts'
import type { StartSubject, SubjectPlace } from './subject.ts'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export type GatewayOptions = { readonly upstream?: object; readonly upstreams?: object; readonly accessLog?: object; readonly routes?: readonly object[] }

export const documentFile = ({ folder, port }: SubjectPlace): string => join(folder, `gateway-${port}.json`)

/** One worker in front of the backend, at `/b/…`, with `routes` besides. */
export function writeDocument(place: SubjectPlace, options: GatewayOptions): void {
  writeFileSync(documentFile(place), JSON.stringify({
    listeners: [{ address: `127.0.0.1:${place.port}` }],
    workers: 1,
    accessLog: options.accessLog ?? null,
    upstreams: { backend: { endpoints: [`http://127.0.0.1:${place.backendPort}`], ...options.upstream }, ...options.upstreams },
    routes: [{ id: 'b', match: { path: '/b/{rest+}' }, upstream: 'backend' }, ...options.routes ?? []],
  }))
}

export function gateway(options: GatewayOptions | ((place: SubjectPlace) => GatewayOptions) = {}): StartSubject {
  return place => {
    writeDocument(place, typeof options === 'function' ? options(place) : options)
    return startProcess(0, process.execPath, [MAIN, 'start', '--config', documentFile(place)])
  }
}

/** So many routes to the backend; no two alike, none matched by the others' paths. */
export const manyRoutes = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ id: `r${i}`, match: { path: routePath(i, '{id}') }, upstream: 'backend' }))

export const routePath = (index: number, id: string): string => `/api/v${index % 7}/service${index}/${id}`
