import { cpuMicroseconds } from '../measure/cpu.ts'
import { openLoop } from '../measure/open-loop.ts'
import { percentile, round } from '../measure/statistics.ts'
import type { Row, Scenario } from '../scenario.ts'
import { type GatewayOptions, gateway, manyRoutes, routePath, writeDocument } from '../subjects/gateway.ts'
import { withSubjects } from '../subjects/subject.ts'

const ROUTES = 50_000
const PER_SECOND = 5000

/** A document of 50,000 routes; `/version` tells which one is served. */
const version = (number: number): GatewayOptions =>
  ({ routes: [...manyRoutes(ROUTES), { id: 'version', match: { path: '/version' }, mock: { body: String(number) } }] })

export const reload: Scenario = {
  name: 'reload',
  question: `does a reload of ${ROUTES} routes disturb ${PER_SECOND} requests a second on the same core?`,
  run: effort => withSubjects({ gateway: gateway(version(0)) }, async ([subject]) => {
    const { port, place, process } = subject!
    const served = async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/version`)).text()
    const warmUp = { port, path: (index: number) => routePath(index * 7919 % ROUTES, String(index)), perSecond: PER_SECOND, connections: 64 }
    await openLoop({ ...warmUp, seconds: effort.seconds })
    const rows: Row[] = []
    const duringMs: number[] = []
    let failures = 0
    for (let number = 1; number <= Math.min(3, effort.rounds); number++) {
      writeDocument(place, version(number))
      const samples: [intendedMs: number, latencyMs: number][] = []
      const load = openLoop({ ...warmUp, seconds: 8, onSample: (intendedMs, latencyMs) => samples.push([intendedMs, latencyMs]) })
      await new Promise(resolve => setTimeout(resolve, 500))
      const beforeMicroseconds = cpuMicroseconds(process!.pid!)
      const startedMs = performance.now()
      process!.kill('SIGHUP')
      while (await served() !== String(number)) await new Promise(resolve => setTimeout(resolve, 10))
      const tookMs = performance.now() - startedMs
      const result = await load
      // Whatever was sent from the signal until the new document was served, and in the second behind it.
      const during = samples.filter(([intendedMs]) => intendedMs > 450 && intendedMs < 500 + tookMs + 1000).map(([, latencyMs]) => latencyMs).sort((a, b) => a - b)
      duringMs.push(percentile(during, 0.99))
      failures += result.failures
      rows.push({
        subject: `reload ${number}`, 'took ms': Math.round(tookMs), 'p50 ms': round(percentile(during, 0.5)), 'p99 ms': round(percentile(during, 0.99)),
        'greatest ms': round(percentile(during, 1)), 'CPU ms': round((cpuMicroseconds(process!.pid!) - beforeMicroseconds) / 1000, 0), failures: result.failures,
      })
    }
    return {
      rows,
      verdicts: [
        { what: 'p99 during the reload, ms', value: round(Math.max(...duringMs)), spread: null, atMost: 50 },
        { what: 'failed requests', value: failures, spread: null, atMost: 0 },
      ],
      chart: 'p99 ms',
    }
  }),
}
