import type { ChildProcess } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isInstalled, startProcess } from './processes.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export type SubjectOptions = { folder: string; port: number; backendPort: number }
/** null: not installed here. */
export type StartSubject = (options: SubjectOptions) => ChildProcess | null

export function gateway(extra: { upstream?: object; accessLog?: object; routes?: object[] } = {}): StartSubject {
  return ({ folder, port, backendPort }) => {
    const file = join(folder, `gateway-${port}.json`)
    writeFileSync(file, JSON.stringify({
      listeners: [{ address: `127.0.0.1:${port}` }],
      workers: 1,
      accessLog: extra.accessLog ?? null,
      upstreams: { backend: { endpoints: [`http://127.0.0.1:${backendPort}`], ...extra.upstream } },
      routes: [{ id: 'b', match: { path: '/b/{rest+}' }, upstream: 'backend' }, ...extra.routes ?? []],
    }))
    return startProcess(0, process.execPath, [here('../../src/main.js'), 'start', '--config', file])
  }
}

export const uwsAlone: StartSubject = ({ port }) => startProcess(0, process.execPath, [here('./backend.js'), String(port)])

/** With the headers that the gateway adds as well, since that is a part of its work. */
export const nginx: StartSubject = ({ folder, port, backendPort }) => {
  if (!isInstalled('nginx')) return null
  const at = join(folder, `nginx-${port}`)
  mkdirSync(at)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${at}/${name};`).join(' ')
  writeFileSync(join(at, 'nginx.conf'), `worker_processes 1; daemon off; pid ${at}/pid; error_log ${at}/error.log;
events { worker_connections 8192; }
http { access_log off; keepalive_requests 1000000000; ${temporary}
  upstream backend { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 1000000000; }
  server { listen 127.0.0.1:${port}; location / {
    proxy_pass http://backend; proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host; proxy_set_header Via "1.1 nginx"; proxy_set_header X-Request-Id $request_id;
    proxy_set_header Forwarded "for=$remote_addr;host=\\"$http_host\\";proto=$scheme";
  } } }
`)
  return startProcess(0, 'nginx', ['-c', join(at, 'nginx.conf')])
}

export const haproxy: StartSubject = ({ folder, port, backendPort }) => {
  if (!isInstalled('haproxy')) return null
  const file = join(folder, `haproxy-${port}.cfg`)
  writeFileSync(file, `global
  nbthread 1
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  default_backend b
backend b
  option forwardfor
  server s 127.0.0.1:${backendPort}
`)
  return startProcess(0, 'haproxy', ['-f', file])
}
