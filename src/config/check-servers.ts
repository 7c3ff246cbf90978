import { parseAddress, parseCidr } from './address.ts'
import { checkRedis } from './check-redis.ts'
import { checkUpstream } from './check-upstream.ts'
import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import type { PemFiles } from './pem-files.ts'
import type { ListenerConfig } from './schema.ts'

const SERVER_NAME = /^(?:\*\.)?(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/

/** Addresses, certificates and endpoints: what the gateway listens on, whom it believes, and where it connects to. */
export function checkServers(document: Checkable, list: FindingList, files: PemFiles): void {
  checkListeners(document.listeners, list, files)
  document.trustedProxies.forEach((range, index) => {
    if (range === undefined) return
    const path = ['trustedProxies', index]
    const parsed = parseCidr(range)
    if ('problem' in parsed) list.add(path, `${list.quote(path, range)}: ${parsed.problem}`)
  })
  if (document.redis !== null) checkRedis(document.redis, list, files)
  for (const [name, config] of document.upstreams) if (config !== undefined) checkUpstream(name, config, list, files)
}

function checkListeners(listeners: Checkable['listeners'], list: FindingList, files: PemFiles): void {
  const firsts = new Map<string, number>()
  listeners.forEach((listener, index) => {
    if (listener === undefined) return
    const path = ['listeners', index, 'address']
    const address = parseAddress(listener.address)
    if ('problem' in address) {
      list.add(path, `${list.quote(path, listener.address)}: ${address.problem}`)
    } else if (address.port !== 0) {
      const name = `${address.host.includes(':') ? new URL(`http://[${address.host}]`).hostname : address.host.toLowerCase()}:${address.port}`
      const first = firsts.get(name)
      if (first === undefined) firsts.set(name, index)
      else list.add(path, `${list.quote(path, listener.address)} is the address of /listeners/${first} already: keep one`)
    }
    checkCertificates(listener, index, list, files)
  })
}

function checkCertificates(listener: ListenerConfig, listenerIndex: number, list: FindingList, files: PemFiles): void {
  const firsts = new Map<string, number>()
  listener.tls?.certificates.forEach(({ hosts, cert, key }, index) => {
    const path = ['listeners', listenerIndex, 'tls', 'certificates', index]
    hosts.forEach((host, hostIndex) => {
      const hostPath = [...path, 'hosts', hostIndex]
      const first = firsts.get(host.toLowerCase())
      if (!SERVER_NAME.test(host)) {
        list.add(hostPath, `${list.quote(hostPath, host)} is not a server name: write api.example.com or *.example.com`)
      } else if (first !== undefined) {
        list.add(hostPath, `${list.quote(hostPath, host)} has a certificate already (/listeners/${listenerIndex}/tls/certificates/${first}): keep one`)
      } else {
        firsts.set(host.toLowerCase(), index)
      }
    })
    files.pair(cert, key, path)
  })
}
