import { request as requestHttp } from 'node:http'
import type { UpstreamConfig } from '../../config/schema.ts'
import type { EndpointAddress } from '../../upstream/endpoint.ts'
import { type CancelProbe, type OnProbeEnd, openSocket, problemOf, type TlsOptions } from './tcp-probe.ts'

export type HealthConfig = NonNullable<UpstreamConfig['health']>

/** What is read of a body at most. */
const MAX_BODY_BYTES = 65_536

/**
 * Asks for `path` on a connection of its own. Succeeds when the status is one of `statuses` and the body, up to its end
 * or 64 KiB, has come and holds `bodyContains`. The response head is bounded by Node (16 KiB), the time by the caller.
 * Throws for a path or host that can't stand in a request.
 */
export function probeHttp(address: EndpointAddress, config: HealthConfig, tlsOptions: TlsOptions, onEnd: OnProbeEnd): CancelProbe {
  const request = requestHttp({
    // Not by https.request: it would take the server name from Host, where the data path takes it from the endpoint.
    createConnection: () => openSocket(address, tlsOptions),
    path: config.path,
    headers: { host: config.host ?? hostHeaderOf(address), 'user-agent': 'penstock-health', accept: '*/*' },
  })
  let isOver = false
  const end = (problem: string | null): void => {
    if (isOver) return
    isOver = true
    request.destroy()
    onEnd(problem)
  }
  request.on('response', response => {
    const status = response.statusCode ?? 0
    if (!config.statuses.includes(status)) {
      end(`status ${status}`)
      return
    }
    const pieces: Buffer[] = []
    let lengthBytes = 0
    const judge = (): void => end(holds(pieces, config.bodyContains) ? null : 'body does not contain the text')
    response.on('data', (piece: Buffer) => {
      if (isOver) return
      if (config.bodyContains !== null) pieces.push(piece)
      lengthBytes += piece.length
      if (lengthBytes >= MAX_BODY_BYTES) judge()
    })
    response.on('end', judge)
    response.on('error', cause => end(problemOf(cause)))
  })
  // Nobody asked for one; without a listener Node drops the connection and says nothing.
  request.on('upgrade', response => end(`status ${response.statusCode}`))
  request.on('error', cause => end(problemOf(cause)))
  request.end()
  return () => {
    if (isOver) return
    isOver = true
    request.destroy()
  }
}

function holds(pieces: readonly Buffer[], text: string | null): boolean {
  return text === null || Buffer.concat(pieces).subarray(0, MAX_BODY_BYTES).includes(text)
}

/** As on the data path: the name that an address was found by, with the port unless it is the scheme's own. */
function hostHeaderOf({ name, host, port, isTls }: EndpointAddress): string {
  const shown = name ?? (host.includes(':') ? `[${host}]` : host)
  return port === (isTls ? 443 : 80) ? shown : `${shown}:${port}`
}
