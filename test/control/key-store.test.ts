import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { digestOf, newApiKey } from '../../src/control/api-key.ts'
import { KeyStore } from '../../src/control/key-store.ts'
import { aKey, identityStoreSuite } from '../support/identity-store-suite.ts'

const WRITER = fileURLToPath(new URL('../support/key-store-writer.js', import.meta.url))

const folders: string[] = []
t.teardown(() => { for (const folder of folders) rmSync(folder, { recursive: true, force: true }) })
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-store-'))
  folders.push(folder)
  return folder
}
const open = (folder: string, nowMs = (): number => 1000): Promise<KeyStore> => KeyStore.open({ folder, maxKeysPerConsumer: 2, nowMs })

identityStoreSuite('files', () => {
  const folder = join(newFolder(), 'deep', 'data')
  return { open: nowMs => open(folder, nowMs) }
})

/** All that lies in a folder. */
const contentsOf = (folder: string): string => readdirSync(folder).map(name => readFileSync(join(folder, name), 'utf8')).join('\n')

t.test('a key itself is on no disk, and nobody else may read its digest', async t => {
  const folder = newFolder()
  const store = await open(folder)
  const { secret, ...parts } = newApiKey()
  t.match(secret, /^pk_[\w-]{43}$/)
  t.equal(parts.digest, digestOf(secret))
  t.equal(parts.lastFour, secret.slice(-4))
  await store.createKey({ ...parts, consumerId: 'acme', plan: null, expiresAtMs: null })
  const text = contentsOf(folder)
  t.match(text, parts.digest)
  t.notMatch(text, secret.slice(3, -4))
  for (const name of readdirSync(folder)) t.equal(statSync(join(folder, name)).mode & 0o077, 0, name)
  await store.close()
})

t.test('the digest is plain SHA-256, as sha256sum has it', async t => {
  t.equal(digestOf('test'), '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08')
})

t.test('a write that was cut off is swept away', async t => {
  const folder = newFolder()
  writeFileSync(join(folder, 'identities-00.json.next'), '{"schemaVersion":1,"consu')
  const store = await open(folder)
  t.notOk(readdirSync(folder).some(name => name.endsWith('.next')))
  await store.close()
})

for (const { desc, text, message } of [
  { desc: 'half a file', text: '{"schemaVersion":1,"consu', message: /identities-00\.json: is not JSON: bring it back from a backup/ },
  { desc: 'another file', text: '{}', message: /identities-00\.json: is not what this program writes/ },
  { desc: 'null', text: 'null', message: /not what this program writes/ },
  { desc: 'a key without its digest', text: '{"schemaVersion":1,"consumers":[],"keys":[{"id":"a"}]}', message: /an entry of 'keys'/ },
  { desc: 'a consumer without an id', text: '{"schemaVersion":1,"consumers":[null],"keys":[]}', message: /an entry of 'consumers'/ },
  { desc: 'a file of a later version', text: '{"schemaVersion":2}', message: /has version 2, this program knows 1: run the Penstock that wrote it/ },
]) {
  t.test(`${desc} is refused, and left as it is`, async t => {
    const folder = newFolder()
    writeFileSync(join(folder, 'identities-00.json'), text)
    await t.rejects(open(folder), message)
    t.strictSame(readdirSync(folder), ['identities-00.json'], 'the lock is free again')
    t.equal(readFileSync(join(folder, 'identities-00.json'), 'utf8'), text)
  })
}

t.test('when the disk fails, the store says so, answers as before, and goes on when it works again', async t => {
  const folder = newFolder()
  const store = await open(folder)
  const consumer = await store.createConsumer({ id: 'acme', plan: null, groups: [] })
  const [name] = readdirSync(folder).filter(each => each.endsWith('.json'))
  // A folder in the way of the file that is written first.
  const obstacle = join(folder, `${name}.next`)
  mkdirSync(obstacle)
  let changes = 0
  store.onChange = () => changes++
  await t.rejects(store.createKey(aKey('acme')), { code: 'EISDIR' })
  t.strictSame(store.keysOf('acme'), [])
  t.strictSame(store.consumer('acme'), consumer)
  t.equal(changes, 0)
  rmSync(obstacle, { recursive: true })
  await store.createKey(aKey('acme'))
  t.equal(changes, 1)
  await store.close()
})

t.test('a second store on the same folder is refused, with the process that has it', async t => {
  const folder = newFolder()
  const store = await open(folder)
  await t.rejects(open(folder), new RegExp(`in use by process ${process.pid} on .*: stop it, or give this gateway another dataDirectory`))
  await store.close()
  await (await open(folder)).close()
})

t.test('a second process is refused while the first lives, also when that was killed it is not', async t => {
  const folder = newFolder()
  const child = spawn(process.execPath, [WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => child.stdout.once('data', resolve))
  await t.rejects(open(folder), new RegExp(`in use by process ${child.pid}`))
  const exit = new Promise(resolve => child.once('close', resolve))
  child.kill('SIGKILL')
  await exit
  t.ok(readdirSync(folder).includes('lock'), 'it left its lock behind')
  await (await open(folder)).close()
  t.notOk(readdirSync(folder).includes('lock'))
})

const own = (): { pid: number; host: string; space: string; start: string } => ({ pid: process.pid, host: hostname(), space: ownSpace(), start: '' })
const ownSpace = (): string => {
  try {
    return execFileSync('readlink', ['/proc/self/ns/pid'], { encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}
for (const { desc, text, ageMs, isTaken } of [
  { desc: 'a number that another process has now', text: () => ({ ...own(), start: 'another boot/1' }), ageMs: 0, isTaken: true },
  { desc: 'another machine, just now', text: () => ({ ...own(), host: 'elsewhere', start: 'x' }), ageMs: 0, isTaken: false },
  { desc: 'another machine that was silent for a minute', text: () => ({ ...own(), host: 'elsewhere', start: 'x' }), ageMs: 60_000, isTaken: true },
  { desc: 'another container with the same name, just now', text: () => ({ ...own(), space: 'pid:[1]', start: 'x' }), ageMs: 0, isTaken: false },
  { desc: 'nobody yet', text: () => '', ageMs: 0, isTaken: false },
  { desc: 'nobody, for a minute', text: () => '', ageMs: 60_000, isTaken: true },
]) {
  t.test(`a lock of ${desc} is ${isTaken ? 'taken over' : 'respected'}`, async t => {
    const folder = newFolder()
    const value = text()
    const file = join(folder, 'lock')
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify({ id: 'theirs', ...value }))
    const then = new Date(Date.now() - ageMs)
    utimesSync(file, then, then)
    if (isTaken) await (await open(folder)).close()
    else await t.rejects(open(folder), /in use by/)
  })
}

t.test('a store whose lock was taken writes nothing more, and leaves the lock of the other alone', async t => {
  const folder = newFolder()
  const store = await open(folder)
  const file = join(folder, 'lock')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')) as object, id: 'theirs' }))
  await t.rejects(store.createConsumer({ id: 'acme', plan: null, groups: [] }), /was taken by another process/)
  t.strictSame(readdirSync(folder), ['lock'])
  await store.close()
  t.strictSame(readdirSync(folder), ['lock'])
})
