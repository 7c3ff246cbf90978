import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { KeyStore } from '../../src/control/key-store.ts'
import { Random } from '../support/random.ts'

const WRITER = fileURLToPath(new URL('../support/key-store-writer.js', import.meta.url))
const KILLS = 25

type Line = { readonly created?: string; readonly revoked?: string }

/** Runs the writer for a while, kills it, and answers what it has said to be durable. */
async function writeUntilKilled(folder: string, pauseMs: number): Promise<Line[]> {
  const child = spawn(process.execPath, [WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => { text += chunk })
  const exit = new Promise(resolve => child.once('close', resolve))
  await new Promise(resolve => child.stdout.once('data', resolve))
  await sleep(pauseMs)
  child.kill('SIGKILL')
  await exit
  // What comes after the last line end was cut off with it.
  return text.split('\n').slice(0, -1).map(line => JSON.parse(line) as Line)
}

t.test('killed at any moment of a loop of writes, the store is whole and has all that it said it has', { timeout: 180_000 }, async t => {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-crash-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const random = new Random(20_261_126)
  let writes = 0
  let cutOff = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const lines = await writeUntilKilled(folder, random.below(120))
    cutOff += readdirSync(folder).filter(name => name.endsWith('.next')).length
    for (const name of readdirSync(folder).filter(each => each.endsWith('.json'))) JSON.parse(readFileSync(join(folder, name), 'utf8'))
    const store = await KeyStore.open({ folder, maxKeysPerConsumer: 2, nowMs: Date.now })
    const created = lines.flatMap(line => line.created ?? [])
    const revoked = lines.flatMap(line => line.revoked ?? [])
    writes += created.length + revoked.length
    // The last fifty revoked ones are kept.
    for (const id of revoked.slice(-49)) t.ok(store.key(id)?.revokedAtMs, `${id} is revoked`)
    const [last] = created.slice(-1)
    if (last !== undefined) t.ok(store.key(last), 'the last key that was made is there')
    const valid = store.keysOf('acme').filter(key => key.revokedAtMs === null)
    t.ok(valid.length <= 1, `${valid.length} are valid: at most the one that was under way`)
    for (const { id } of valid) await store.revokeKey(id)
    await store.close()
  }
  t.ok(writes > KILLS, `${writes} writes were acknowledged, ${cutOff} were cut off before their rename`)
})
