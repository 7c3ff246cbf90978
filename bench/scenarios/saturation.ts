import { closedLoop, type LoadResult } from '../measure/closed-loop.ts'
import { cpuMicroseconds, residentBytes } from '../measure/cpu.ts'
import { median, round, spreadOf } from '../measure/statistics.ts'
import type { Effort, Outcome, Scenario } from '../scenario.ts'
import { type DIRECT, type StartSubject, withSubjects } from '../subjects/subject.ts'

type Sample = LoadResult & { readonly cpuPerRequest: number; readonly residentMiB: number }

export type SaturationOptions = {
  readonly name: string
  readonly question: string
  readonly path: string
  readonly connections: number
  /** The ratio is of the first to the second. */
  readonly subjects: Readonly<Record<string, StartSubject | typeof DIRECT>>
  readonly atMost: number | null
}

/**
 * A closed loop as fast as it goes; what counts is CPU per request, which a busy machine disturbs less than time.
 * Subjects take turns, in alternating order; the ratio is taken round by round.
 */
export function saturation(options: SaturationOptions): Scenario {
  return { name: options.name, question: options.question, run: effort => measure(options, effort) }
}

async function measure(options: SaturationOptions, effort: Effort): Promise<Outcome> {
  return withSubjects(options.subjects, async started => {
    const subjects = started.map(subject => ({ ...subject, samples: [] as Sample[] }))
    for (let turn = 0; turn <= effort.rounds; turn++) {
      for (const { port, process, samples } of turn % 2 === 0 ? subjects : subjects.toReversed()) {
        const beforeMicroseconds = process === null ? 0 : cpuMicroseconds(process.pid!)
        const load = await closedLoop(`http://127.0.0.1:${port}${options.path}`, options.connections, effort.seconds)
        const cpuPerRequest = process === null ? Number.NaN : (cpuMicroseconds(process.pid!) - beforeMicroseconds) / load.requests
        // The first round warms up.
        if (turn > 0) samples.push({ ...load, cpuPerRequest, residentMiB: process === null ? Number.NaN : residentBytes(process.pid!) / 1_048_576 })
      }
    }
    const [first, second] = subjects
    const ratios = second === undefined ? [] : first!.samples.map((sample, i) => sample.cpuPerRequest / second.samples[i]!.cpuPerRequest)
    return {
      rows: subjects.map(({ name, process, samples }) => ({
        subject: name,
        'CPU µs/request': process === null ? null : round(median(samples.map(sample => sample.cpuPerRequest))),
        'requests/s': Math.round(median(samples.map(sample => sample.requestsPerSecond))),
        'p50 ms': median(samples.map(sample => sample.p50Ms)),
        'p99 ms': median(samples.map(sample => sample.p99Ms)),
        'RSS MiB': process === null ? null : Math.round(median(samples.map(sample => sample.residentMiB))),
        failures: samples.reduce((sum, sample) => sum + sample.failures, 0),
      })),
      verdicts: ratios.length === 0 ? [] : [{
        what: `CPU per request, ${first!.name} / ${second!.name}`, value: round(median(ratios)), spread: spreadOf(ratios), atMost: options.atMost,
      }],
      chart: 'CPU µs/request',
    }
  })
}
