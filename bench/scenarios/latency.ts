import { closedLoop } from '../measure/closed-loop.ts'
import { cpuMicroseconds } from '../measure/cpu.ts'
import { openLoop, type OpenLoopResult } from '../measure/open-loop.ts'
import { median, round, spreadOf } from '../measure/statistics.ts'
import type { Effort, Outcome, Row, Scenario, Verdict } from '../scenario.ts'
import { gateway } from '../subjects/gateway.ts'
import { caddy, fastifyHttpProxy, haproxy, nginx } from '../subjects/peers.ts'
import { DIRECT, withSubjects } from '../subjects/subject.ts'

const PATH = '/b/200'
const CONNECTIONS = 64

/** All subjects get the same rates, a share of what the gateway can take; one that can't take it shows by failures. */
export const latency: Scenario = {
  name: 'latency',
  question: 'how long does a client wait at 50 % and 80 % of what the gateway can take (200 bytes, open loop, from the intended send time)?',
  run: effort => withSubjects({ gateway: gateway(), nginx, haproxy, caddy, '@fastify/http-proxy': fastifyHttpProxy, direct: DIRECT }, async subjects => {
    for (const { port } of subjects) await closedLoop(`http://127.0.0.1:${port}${PATH}`, CONNECTIONS, effort.seconds)
    const saturation = await closedLoop(`http://127.0.0.1:${subjects[0]!.port}${PATH}`, CONNECTIONS, effort.seconds)
    const rows: Row[] = []
    const verdicts: Verdict[] = []
    for (const share of [0.5, 0.8]) {
      const perSecond = Math.round(saturation.requestsPerSecond * share)
      const samples = subjects.map(() => [] as (OpenLoopResult & { cpuPerRequest: number })[])
      for (let turn = 0; turn < roundsOf(effort); turn++) {
        for (const [i, { port, process }] of subjects.entries()) {
          const beforeMicroseconds = process === null ? 0 : cpuMicroseconds(process.pid!)
          const result = await openLoop({ port, path: () => PATH, perSecond, connections: CONNECTIONS, seconds: effort.seconds })
          const cpuPerRequest = process === null ? Number.NaN : (cpuMicroseconds(process.pid!) - beforeMicroseconds) / result.requests
          samples[i]!.push({ ...result, cpuPerRequest })
        }
      }
      for (const [i, { name, process }] of subjects.entries()) {
        const of = (pick: (sample: OpenLoopResult & { cpuPerRequest: number }) => number): number => round(median(samples[i]!.map(pick)))
        rows.push({
          subject: `${name} at ${share * 100} %`, 'requests/s': perSecond,
          'p50 ms': of(sample => sample.p50Ms), 'p90 ms': of(sample => sample.p90Ms), 'p99 ms': of(sample => sample.p99Ms), 'p99.9 ms': of(sample => sample.p999Ms),
          'CPU µs/request': process === null ? null : of(sample => sample.cpuPerRequest),
          failures: samples[i]!.reduce((sum, sample) => sum + sample.failures, 0),
        })
      }
      if (subjects[1]?.name === 'nginx') {
        const ratios = samples[0]!.map((sample, turn) => sample.p99Ms / samples[1]![turn]!.p99Ms)
        verdicts.push({ what: `p99 at ${share * 100} %, gateway / nginx`, value: round(median(ratios)), spread: spreadOf(ratios), atMost: null })
      }
    }
    return { rows, verdicts, chart: 'p99 ms' } satisfies Outcome
  }),
}

/** Twelve measurements a round: three rounds stay under a minute. */
const roundsOf = (effort: Effort): number => Math.min(3, effort.rounds)
