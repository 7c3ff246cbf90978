import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { FAILURES } from '../src/base/failure.ts'
import { withGenerated } from '../src/cli/docs.ts'

const readme = readFileSync(fileURLToPath(new URL('../../README.md', import.meta.url)), 'utf8')

t.test('the tables of the README are what the code says (npm run docs makes them)', async t => {
  t.equal(withGenerated(readme), readme)
})

t.test('every failure stands in the README with its status', async t => {
  for (const [code, { status }] of Object.entries(FAILURES)) t.match(readme, `| ${code} | ${status} |`)
})
