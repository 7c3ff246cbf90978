import { cpuMicroseconds } from '../measure/cpu.ts'
import { openLoop } from '../measure/open-loop.ts'
import { median, round, spreadOf } from '../measure/statistics.ts'
import type { Scenario } from '../scenario.ts'
import { gateway, manyRoutes, routePath } from '../subjects/gateway.ts'
import { withSubjects } from '../subjects/subject.ts'

const PER_SECOND = 15_000
const COUNTS = [10, 1000, 50_000]
/** A fixed walk over all routes that looks random to caches: a prime step. */
const STEP = 7919

export const routes: Scenario = {
  name: 'routes',
  question: 'does the number of routes cost anything, when requests go to all of them?',
  run: effort => withSubjects(Object.fromEntries(COUNTS.map(count => [String(count), gateway({ routes: manyRoutes(count) })])), async subjects => {
    const samples = subjects.map(() => [] as number[])
    const failures = subjects.map(() => 0)
    for (let turn = 0; turn <= effort.rounds; turn++) {
      for (const [i, { port, process }] of subjects.entries()) {
        const path = (index: number): string => routePath(index * STEP % COUNTS[i]!, String(index))
        const beforeMicroseconds = cpuMicroseconds(process!.pid!)
        const result = await openLoop({ port, path, perSecond: PER_SECOND, connections: 64, seconds: effort.seconds })
        if (turn > 0) samples[i]!.push((cpuMicroseconds(process!.pid!) - beforeMicroseconds) / result.requests)
        failures[i]! += result.failures
      }
    }
    const ratios = samples.at(-1)!.map((sample, turn) => sample / samples[0]![turn]!)
    return {
      rows: COUNTS.map((count, i) => ({ subject: `${count} routes`, 'CPU µs/request': round(median(samples[i]!)), 'requests/s': PER_SECOND, failures: failures[i]! })),
      verdicts: [{ what: 'CPU per request, 50,000 routes / 10 routes', value: round(median(ratios)), spread: spreadOf(ratios), atMost: 1.3 }],
      chart: 'CPU µs/request',
    }
  }),
}
