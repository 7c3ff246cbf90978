import { nowMs } from '../base/clock.ts'
import type { BalanceRequest } from '../upstream/balancer.ts'
import { Call, type CallListener } from '../upstream/call.ts'
import type { Upstream } from '../upstream/upstream.ts'
import type { MirrorShipment, MirrorTarget } from './mirror.ts'
import { requestText } from './request-text.ts'

/** Copies go to any endpoint: they belong to no client. */
const NO_REQUEST: BalanceRequest = { keyValue: () => undefined }

/** Sends copies to an upstream, each once. One without an endpoint is not sent: it stays under way until it is told so. */
export function mirrorTarget(upstream: Upstream): MirrorTarget {
  return {
    send({ request, upstreamPath, forwarding, body }: MirrorShipment, listener: CallListener): void {
      const endpoint = upstream.pick(NO_REQUEST, [])
      if (endpoint === null) throw new Error(`upstream '${upstream.name}' has no endpoint for copies`)
      const host = upstream.preserveHost ? request.host : endpoint.hostHeader
      upstream.send(new Call(request.method, requestText(request, upstreamPath, host, forwarding), body, listener), endpoint, nowMs())
    },
  }
}
