import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { page } from './report/page.ts'
import { printResult } from './report/terminal.ts'
import type { Effort, ScenarioResult } from './scenario.ts'
import { scenarios } from './scenarios/all.ts'
import { PINS, pinSelf, stopAll } from './subjects/processes.ts'

const USAGE = `npm run bench -- [--scenario NAME]… [--quick] [--output FOLDER]

  --scenario NAME   only this one, in under a minute; may be given again
  --list            the scenarios
  --quick           whether it works, not what it measures
  --output FOLDER   where results.json and results.html go; all scenarios: bench/results,
                    else bench/results/local`
const RESULTS = fileURLToPath(new URL('../../bench/results/', import.meta.url))

function refuse(problem: string): never {
  console.error(`${problem}\n\n${USAGE}`)
  process.exit(2)
}

function parse(): { scenario: string[]; list: boolean; quick: boolean; output: string | undefined; help: boolean } {
  try {
    const { values } = parseArgs({ options: {
      scenario: { type: 'string', multiple: true }, list: { type: 'boolean' }, quick: { type: 'boolean' }, output: { type: 'string' }, help: { type: 'boolean' },
    } })
    return { scenario: values.scenario ?? [], list: values.list ?? false, quick: values.quick ?? false, output: values.output, help: values.help ?? false }
  } catch (error) {
    return refuse((error as Error).message)
  }
}

const options = parse()
if (options.help || options.list) {
  console.log(options.help ? USAGE : scenarios.map(scenario => `${scenario.name.padEnd(16)} ${scenario.question}`).join('\n'))
  process.exit(0)
}
const unknown = options.scenario.find(name => !scenarios.some(scenario => scenario.name === name))
if (unknown !== undefined) refuse(`no scenario '${unknown}'; there are: ${scenarios.map(scenario => scenario.name).join(', ')}`)

process.on('exit', stopAll)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
pinSelf()

const effort: Effort = options.quick ? { rounds: 1, seconds: 0.3, isQuick: true } : { rounds: 5, seconds: 1.5, isQuick: false }
const isAll = options.scenario.length === 0
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, cpus: PINS ? 'subject on core 0, backend and load on core 1' : 'not bound to cores',
  node: process.version, kernel: release(), rounds: effort.rounds, seconds: effort.seconds, date: new Date().toISOString().slice(0, 10),
}
console.log(machine)
const results: ScenarioResult[] = []
for (const { name, question, run } of scenarios) {
  if (!isAll && !options.scenario.includes(name)) continue
  const result = { name, question, ...await run(effort) }
  printResult(result)
  results.push(result)
}
const folder = options.output === undefined ? join(RESULTS, isAll && !options.quick ? '' : 'local') : resolve(options.output)
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'results.json'), `${JSON.stringify({ machine, results }, null, 2)}\n`)
writeFileSync(join(folder, 'results.html'), page(machine, results))
console.log(`\n${join(folder, 'results.json')}\n${join(folder, 'results.html')}`)
