import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { ScenarioResult } from '../../bench/scenario.ts'

const RUN = fileURLToPath(new URL('../../bench/run.js', import.meta.url))
const run = (...args: string[]) => spawnSync(process.execPath, [RUN, ...args], { encoding: 'utf8' })
t.setTimeout(120_000)

t.test('a scenario starts its own servers, measures, and leaves JSON and a page', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const { status, stdout, stderr } = run('--quick', '--scenario', 'small', '--output', folder)
  t.equal(status, 0, stderr)
  t.match(stdout, /gateway +[\d.]+ /)
  const { machine, results } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as { machine: { node: string }; results: ScenarioResult[] }
  t.equal(machine.node, process.version)
  t.equal(results.length, 1)
  const gateway = results[0]!.rows.find(row => row.subject === 'gateway')!
  t.equal(gateway['failures'], 0)
  t.ok(Number(gateway['CPU µs/request']) > 0)
  t.match(readFileSync(join(folder, 'results.html'), 'utf8'), /<svg[^]*gateway/)
})

t.test('the micro-benches measure', async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  t.equal(run('--quick', '--scenario', 'micro', '--output', folder).status, 0)
  const { results } = JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as { results: ScenarioResult[] }
  const subjects = results[0]!.rows.map(row => row.subject).join(' ')
  for (const word of ['router', 'request head', 'response head', 'response writer']) t.match(subjects, word)
})

t.test('--list names the scenarios; one that is none is refused with their names', async t => {
  const names = run('--list').stdout.trim().split('\n').map(line => line.split(' ')[0]!)
  t.ok(names.includes('small') && names.includes('reload'))
  const { status, stderr } = run('--scenario', 'smal')
  t.equal(status, 2)
  for (const name of names) t.match(stderr, name)
})
