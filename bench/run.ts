import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { closedLoop, type LoadResult } from './measure/closed-loop.ts'
import { cpuMicroseconds, residentBytes } from './measure/cpu.ts'
import { freePort, startProcess, stopAll, untilListening } from './subjects/processes.ts'
import { scenarios, type Scenario } from './scenarios.ts'

/**
 * How much CPU does the gateway need for a request, beside its peers? One core for what is measured, one for backend
 * and load. Subjects take turns (A B A B …) in one run; medians of the rounds, and the median of the ratios round by
 * round with its least and greatest.
 */
const ROUNDS = 5
const SECONDS = 2

type Sample = LoadResult & { cpuPerRequest: number; residentMiB: number }

async function runScenario(scenario: Scenario): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  const backendPort = await freePort()
  startProcess(1, process.execPath, [fileURLToPath(new URL('./subjects/backend.js', import.meta.url)), String(backendPort)])
  await untilListening(backendPort)
  const subjects: { name: string; port: number; pid: number; samples: Sample[] }[] = []
  for (const [name, start] of Object.entries(scenario.subjects)) {
    const port = await freePort()
    const child = start({ folder, port, backendPort })
    if (child === null) {
      console.log(`${name}: not installed`)
      continue
    }
    await untilListening(port)
    subjects.push({ name, port, pid: child.pid!, samples: [] })
  }
  for (let round = 0; round <= ROUNDS; round++) {
    for (const subject of subjects) {
      const before = cpuMicroseconds(subject.pid)
      const load = await closedLoop(`http://127.0.0.1:${subject.port}${scenario.path}`, scenario.connections, SECONDS)
      const cpuPerRequest = (cpuMicroseconds(subject.pid) - before) / load.requests
      // The first round warms up.
      if (round > 0) subject.samples.push({ ...load, cpuPerRequest, residentMiB: residentBytes(subject.pid) / 1_048_576 })
    }
  }
  stopAll()
  rmSync(folder, { recursive: true, force: true })

  const [first, second] = subjects
  const ratios = second === undefined ? [] : first!.samples.map((sample, i) => sample.cpuPerRequest / second.samples[i]!.cpuPerRequest)
  const rows = subjects.map(({ name, samples }) => ({
    subject: name,
    'CPU µs/request': round(median(samples.map(sample => sample.cpuPerRequest))),
    'requests/s': Math.round(median(samples.map(sample => sample.requestsPerSecond))),
    'p50 ms': median(samples.map(sample => sample.p50Ms)),
    'p99 ms': median(samples.map(sample => sample.p99Ms)),
    'RSS MiB': Math.round(median(samples.map(sample => sample.residentMiB))),
    failures: samples.reduce((sum, sample) => sum + sample.failures, 0),
  }))
  console.log(`\n${scenario.name}: ${scenario.question}`)
  console.table(rows)
  const summary = ratios.length === 0 ? null : { of: `${first!.name} / ${second!.name}`, median: round(median(ratios)), least: round(Math.min(...ratios)), greatest: round(Math.max(...ratios)), target: scenario.atMost }
  if (summary !== null) {
    console.log(`${summary.of}: ${summary.median} (${summary.least}–${summary.greatest}), target at most ${summary.target}: ${summary.median <= scenario.atMost ? 'met' : 'missed'}`)
  }
  return { name: scenario.name, question: scenario.question, rows, ratio: summary }
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!
const round = (value: number): number => Math.round(value * 100) / 100

process.on('exit', stopAll)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

const wanted = process.argv.indexOf('--scenario') < 0 ? null : process.argv[process.argv.indexOf('--scenario') + 1]
const chosen = scenarios.filter(scenario => wanted === null || scenario.name === wanted)
if (chosen.length === 0) {
  console.error(`no scenario '${wanted}'; there are: ${scenarios.map(scenario => scenario.name).join(', ')}`)
  process.exit(2)
}
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, kernel: release(), seconds: SECONDS, rounds: ROUNDS }
console.log(machine)
const results = []
for (const scenario of chosen) results.push(await runScenario(scenario))
const target = fileURLToPath(new URL('../../bench/results/', import.meta.url))
mkdirSync(target, { recursive: true })
writeFileSync(join(target, wanted === null ? 'latest.json' : `${wanted}.json`), `${JSON.stringify({ machine, results }, null, 2)}\n`)
