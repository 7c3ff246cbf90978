import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url))

/** Row of each folder of src/; a file imports from its own folder and from rows below. */
const ROWS: Record<string, number> = {
  base: 1, http: 2, telemetry: 2, config: 3, protocol: 3, limits: 4, cache: 4, store: 5, offload: 5,
  downstream: 6, routing: 6, policies: 6, upstream: 6, gateway: 7, control: 8, worker: 8, cli: 9, '.': 10,
}
const PACKAGES: Record<string, readonly string[]> = {
  commander: ['cli'], yaml: ['config'], zod: ['config', 'cli'], pino: ['telemetry'], jose: ['policies'],
  ioredis: ['store'], msgpackr: ['store'], fastify: ['control'],
  // gateway names the types of a request on its way in; it calls nothing of the package itself.
  'uWebSockets.js': ['downstream', 'gateway'],
}

const files = readdirSync(SOURCE, { recursive: true, withFileTypes: true })
  .filter(entry => entry.isFile() && entry.name.endsWith('.ts'))
  .map(entry => join(entry.parentPath, entry.name))

const folderOf = (file: string): string => relative(SOURCE, dirname(file)).split('/')[0] || '.'

for (const file of files) {
  const name = relative(SOURCE, file)
  const text = readFileSync(file, 'utf8')
  t.test(name, async t => {
    const row = ROWS[folderOf(file)]
    t.ok(row, 'its folder has a row')
    for (const [, target = ''] of text.matchAll(/^(?:import|export)\s[^;]*?from '([^']+)'|import\('([^']+)'\)/gm)) {
      if (target.startsWith('.')) {
        const folder = folderOf(resolve(dirname(file), target))
        t.ok(folder === folderOf(file) || ROWS[folder]! < row!, `${target} is in a row below`)
        t.ok(target.endsWith('.ts'), `${target} names its file`)
      } else if (!target.startsWith('node:') && target !== '') {
        t.ok(PACKAGES[target]?.includes(folderOf(file)), `package ${target} may be used here`)
      }
    }
    t.ok(text.split('\n').length <= 335, 'is about one concern: 300 lines, with a tenth to spare')
    t.notMatch(text, /^export default/m)
    t.notOk(['index.ts', 'utils.ts'].includes(basename(file)))
  })
}
