import { join } from 'node:path'
import type { Scenario } from '../scenario.ts'
import { gateway } from '../subjects/gateway.ts'
import { caddy, fastifyHttpProxy, haproxy, nginx, uwsAlone } from '../subjects/peers.ts'
import { DIRECT } from '../subjects/subject.ts'
import { deadUpstream, killedEndpoint, retryStorm, slowEndpoint } from './failing.ts'
import { latency } from './latency.ts'
import { micro } from './micro.ts'
import { reload } from './reload.ts'
import { idle, memory, startup } from './resources.ts'
import { routes } from './routes.ts'
import { saturation } from './saturation.ts'

const small = { path: '/b/200', connections: 64 }

/** The same backend under two names, so that there is something to choose. */
const twice = (port: number, settings: object): object => ({ endpoints: [`http://127.0.0.1:${port}`, `http://localhost:${port}`], ...settings })

export const scenarios: readonly Scenario[] = [
  saturation({ ...small, name: 'small', question: 'what does a 200-byte answer cost, 64 connections?', atMost: 1, subjects: { gateway: gateway(), nginx, haproxy } }),
  saturation({ ...small, name: 'small-pipelined', question: 'and with pipelining 16 to the upstream?', atMost: 0.7,
    subjects: { gateway: gateway({ upstream: { pipelining: 16 } }), nginx } }),
  saturation({ ...small, name: 'medium', path: '/b/10240', question: 'what does a 10 KB answer cost?', atMost: 1, subjects: { gateway: gateway(), nginx, haproxy } }),
  saturation({ ...small, name: 'large', path: '/b/102400', question: 'what does a 100 KB answer cost?', atMost: 0.6, subjects: { gateway: gateway(), nginx, haproxy } }),
  saturation({ ...small, name: 'peers', question: 'and beside the rest of the field, the bare HTTP stack, and nothing at all?', atMost: null,
    subjects: { gateway: gateway(), caddy, '@fastify/http-proxy': fastifyHttpProxy, 'uws alone': uwsAlone, direct: DIRECT } }),
  ...[1, 16, 256].map(connections => saturation({ ...small, connections, name: `connections-${connections}`,
    question: `what does a 200-byte answer cost, ${connections} ${connections === 1 ? 'connection' : 'connections'}?`, atMost: null, subjects: { gateway: gateway(), nginx } })),
  saturation({ ...small, name: 'access-log', question: 'what does the access log to a file add?', atMost: 1.25,
    subjects: { 'with log': gateway(({ folder }) => ({ accessLog: { destination: join(folder, 'access.log') } })), without: gateway() } }),
  saturation({ ...small, name: 'balance-cost', question: 'what do peak-ewma and the ejection of endpoints add to plain round-robin?', atMost: 1.03,
    subjects: {
      'peak-ewma, outlier': gateway(({ backendPort }) => ({ upstream: twice(backendPort, { balance: 'peak-ewma' }) })),
      'round-robin alone': gateway(({ backendPort }) => ({ upstream: twice(backendPort, { balance: 'round-robin', outlier: null }) })),
    } }),
  slowEndpoint, killedEndpoint, deadUpstream, retryStorm,
  latency, routes, reload, idle, startup, memory, micro,
]
