import { join } from 'node:path'
import { gateway, haproxy, nginx, type StartSubject, uwsAlone } from './subjects/subjects.ts'

export type Scenario = {
  readonly name: string
  readonly question: string
  readonly path: string
  readonly connections: number
  /** The ratio is of the first to the second. */
  readonly subjects: Readonly<Record<string, StartSubject>>
  /** Target of the ratio. */
  readonly atMost: number
}

const manyRoutes = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ id: `r${i}`, match: { path: `/api/v${i % 7}/service${i}/{id}` }, upstream: 'backend' }))

export const scenarios: readonly Scenario[] = [
  { name: 'small', question: 'what does a 200-byte answer cost, 64 connections?', path: '/b/200', connections: 64, atMost: 1,
    subjects: { gateway: gateway(), nginx, haproxy, 'uws alone': uwsAlone } },
  { name: 'small-pipelined', question: 'and with pipelining 16 to the upstream?', path: '/b/200', connections: 64, atMost: 0.7,
    subjects: { gateway: gateway({ upstream: { pipelining: 16 } }), nginx } },
  { name: 'medium', question: 'what does a 10 KB answer cost?', path: '/b/10240', connections: 64, atMost: 1,
    subjects: { gateway: gateway(), nginx, haproxy } },
  { name: 'large', question: 'what does a 100 KB answer cost?', path: '/b/102400', connections: 64, atMost: 0.6,
    subjects: { gateway: gateway(), nginx, haproxy } },
  { name: 'access-log', question: 'what does the access log to a file add?', path: '/b/200', connections: 64, atMost: 1.25,
    subjects: {
      'with log': options => gateway({ accessLog: { destination: join(options.folder, 'access.log') } })(options),
      without: gateway(),
    } },
  { name: 'routes', question: 'does the number of routes cost anything?', path: '/b/200', connections: 64, atMost: 1.3,
    subjects: { '50,000 routes': gateway({ routes: manyRoutes(50_000) }), '10 routes': gateway({ routes: manyRoutes(10) }) } },
  ...[1, 16, 256].map((connections): Scenario => ({
    name: `connections-${connections}`, question: `what does a 200-byte answer cost, ${connections} connections?`, path: '/b/200', connections, atMost: 1,
    subjects: { gateway: gateway(), nginx },
  })),
]
