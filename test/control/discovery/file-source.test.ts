import { rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createSource } from '../../../src/control/discovery/create-source.ts'
import { RecordedEvents } from '../../support/discovery-events.ts'

function setUp(t: Test) {
  const file = join(t.testdir(), 'endpoints.json')
  const events = new RecordedEvents()
  const source = createSource({ file, scheme: 'http', resolver: null, intervalMs: 100, timeoutMs: 5000 }, events)
  t.teardown(() => source.stop())
  const replace = async (text: string | Buffer): Promise<void> => {
    await writeFile(`${file}.new`, text)
    await rename(`${file}.new`, file)
  }
  return { file, events, source, replace }
}

t.test('a list is read with its defaults, and again when it is replaced', async t => {
  const { events, source, replace } = setUp(t)
  await replace('["http://10.0.0.1:80", {"url": "https://users.test:8443", "weight": 5, "priority": 1, "zone": "eu-1"}]')
  source.start()
  await events.reach(1)
  t.strictSame(events.all[0], [
    { url: 'http://10.0.0.1', weight: 1, priority: 0, zone: null, name: null },
    { url: 'https://users.test:8443', weight: 5, priority: 1, zone: 'eu-1', name: null },
  ])
  await replace('[]')
  await events.reach(2)
  t.strictSame(events.sets[1], [])
})

t.test('a change in place that keeps the size is seen', async t => {
  const { file, events, source } = setUp(t)
  await writeFile(file, '["http://10.0.0.1:3000"]')
  await source.refresh()
  await writeFile(file, '["http://10.0.0.2:3000"]')
  await source.refresh()
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], ['http://10.0.0.2:3000']])
})

t.test('a link that is turned to another file is seen, as Kubernetes does', async t => {
  const { file, events, source } = setUp(t)
  await writeFile(`${file}.1`, '["http://10.0.0.1:3000"]')
  await writeFile(`${file}.2`, '["http://10.0.0.2:3000"]')
  await symlink(`${file}.1`, file)
  await source.refresh()
  await symlink(`${file}.2`, `${file}.new`)
  await rename(`${file}.new`, file)
  await source.refresh()
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], ['http://10.0.0.2:3000']])
})

t.test('a bad file is told once, the last good list stays, and a good one is taken', async t => {
  const { events, source, replace } = setUp(t)
  await replace('["http://10.0.0.1:3000"]')
  await source.refresh()
  await replace('[{"url": "http://10.0.0.1:3000", "weight": 0}]')
  await source.refresh()
  await source.refresh()
  t.strictSame(events.failures, ['the list is refused: /0/weight: must be at least 1'])
  await replace('["http://10.0.0.1:3000"]')
  await source.refresh()
  t.equal(events.all.length, 2, 'the same list as before is no event')
  await replace('["http://10.0.0.2:3000"]')
  await source.refresh()
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], ['http://10.0.0.2:3000']])
})

t.test('of many problems the first five are told', async t => {
  const { events, source, replace } = setUp(t)
  await replace(JSON.stringify(Array.from({ length: 8 }, () => 5)))
  await source.refresh()
  t.match(events.failures[0], /^the list is refused: \/0: [^;]*; \/1: [^;]*; \/2: [^;]*; \/3: [^;]*; \/4: [^;]*; and 3 more$/)
})

for (const { desc, prepare, problem } of [
  { desc: 'no file', prepare: async () => {}, problem: 'the file can\'t be read (ENOENT)' },
  { desc: 'a folder', prepare: async (file: string) => symlink('.', file), problem: 'the file can\'t be read: is not a regular file' },
  { desc: 'more than 4 MiB', prepare: async (file: string) => writeFile(file, Buffer.alloc(4_194_305, 0x20)), problem: 'the list is refused: is larger than 4194304 bytes' },
  { desc: 'other text than UTF-8', prepare: async (file: string) => writeFile(file, Buffer.from([0x22, 0xff, 0x22])), problem: 'the list is refused: is not UTF-8' },
]) {
  t.test(`${desc} is a failure`, async t => {
    const { file, events, source } = setUp(t)
    await prepare(file)
    await source.refresh()
    t.strictSame(events.all, [problem])
    await rm(file, { force: true })
    await writeFile(file, '["http://10.0.0.1:3000"]')
    await source.refresh()
    t.strictSame(events.sets, [['http://10.0.0.1:3000']])
  })
}

t.test('no event after stop', async t => {
  const { events, source, replace } = setUp(t)
  await replace('["http://10.0.0.1:3000"]')
  source.start()
  source.stop()
  await new Promise(resolve => setTimeout(resolve, 300))
  t.strictSame(events.all, [])
})

t.test('a source that an event stops is stopped', async t => {
  const { file, replace } = setUp(t)
  await replace('["http://10.0.0.1:3000"]')
  let events = 0
  const source = createSource({ file, scheme: 'http', resolver: null, intervalMs: 100, timeoutMs: 5000 }, {
    onEndpoints: () => {
      events++
      source.stop()
    },
    onFailure: () => {
      events++
    },
  })
  source.start()
  await source.refresh()
  await replace('["http://10.0.0.2:3000"]')
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(events, 1)
})
