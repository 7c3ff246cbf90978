import { createServer } from 'node:net'
import { type Address, parseAddress } from '../config/address.ts'

/**
 * Finds the port of each address; for port 0 any free one. An address that another process has is an error here: the
 * workers listen with SO_REUSEPORT, and would share it with that process in silence.
 *
 * `known`: ports of addresses that this gateway listens on already.
 */
export async function findPorts(addresses: readonly string[], known: ReadonlyMap<string, number>): Promise<Map<string, number>> {
  const ports = new Map<string, number>()
  for (const address of addresses) {
    const { host, port } = addressOf(address)
    ports.set(address, known.get(address) ?? await probe(address, host, port))
  }
  return ports
}

function probe(address: string, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const remedy = cause.code === 'EADDRINUSE' ? 'another process listens there: stop it, or change the address'
        : cause.code === 'EACCES' ? 'ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE)'
        : cause.code === 'EADDRNOTAVAIL' ? 'it is not an address of this machine' : cause.message
      reject(new Error(`cannot listen on ${address}: ${remedy}`))
    })
    server.listen({ host, port, exclusive: true }, () => {
      const bound = server.address()
      server.close(() => resolve(typeof bound === 'object' && bound !== null ? bound.port : port))
    })
  })
}

/** The address of a validated document. */
export function addressOf(text: string): Address {
  const parsed = parseAddress(text)
  if ('problem' in parsed) throw new Error(`${text}: ${parsed.problem}`)
  return parsed
}
