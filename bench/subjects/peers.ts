import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isInstalled, startProcess } from './processes.ts'
import type { StartSubject } from './subject.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

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

/** Adds X-Forwarded-* and Via by itself. */
export const caddy: StartSubject = ({ folder, port, backendPort }) => {
  if (!isInstalled('caddy')) return null
  const file = join(folder, `Caddyfile-${port}`)
  writeFileSync(file, `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  reverse_proxy 127.0.0.1:${backendPort}
}
`)
  return startProcess(0, 'caddy', ['run', '--adapter', 'caddyfile', '--config', file], { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder })
}

/** What a Node.js user would take instead. */
export const fastifyHttpProxy: StartSubject = ({ port, backendPort }) =>
  startProcess(0, process.execPath, [here('./fastify-http-proxy.js'), String(port), String(backendPort)])

/** The native HTTP stack without a gateway: what an answer costs at the least. */
export const uwsAlone: StartSubject = ({ port }) => startProcess(0, process.execPath, [here('./backend.js'), String(port)])
