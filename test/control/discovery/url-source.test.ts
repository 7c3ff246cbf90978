import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { createSource } from '../../../src/control/discovery/create-source.ts'
import { RecordedEvents, until } from '../../support/discovery-events.ts'

const LIST = '["http://10.0.0.1:3000"]'
const OTHER_LIST = '["http://10.0.0.2:3000"]'
type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function setUp(t: Test, answer: Answer, timeoutMs = 5000) {
  const requests: { url: string | undefined; ifNoneMatch: string | undefined }[] = []
  const state = { answer }
  const server = createServer((request, response) => {
    requests.push({ url: request.url, ifNoneMatch: request.headers['if-none-match'] })
    state.answer(request, response)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const events = new RecordedEvents()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/endpoints?token=s3cret`
  const source = createSource({ url, scheme: 'http', resolver: null, intervalMs: 100, timeoutMs }, events)
  t.teardown(() => {
    source.stop()
    server.closeAllConnections()
    server.close()
  })
  return { server, requests, state, events, source }
}

t.test('a list is taken, and another one in its place', async t => {
  const { state, events, source } = await setUp(t, (_, response) => response.end(LIST))
  source.start()
  await events.reach(1)
  t.strictSame(events.all[0], [{ url: 'http://10.0.0.1:3000', weight: 1, priority: 0, zone: null, name: null }])
  state.answer = (_, response) => response.end(OTHER_LIST)
  await events.reach(2)
  t.strictSame(events.sets[1], ['http://10.0.0.2:3000'])
})

t.test('the ETag is sent back, and 304 is no change', async t => {
  const tagged = (etag: string, list: string): Answer => (request, response) => {
    response.setHeader('etag', etag)
    if (request.headers['if-none-match'] === etag) response.writeHead(304).end()
    else response.end(list)
  }
  const { state, requests, events, source } = await setUp(t, tagged('"1"', LIST))
  await source.refresh()
  await source.refresh()
  state.answer = tagged('"2"', 'not a list')
  await source.refresh()
  state.answer = tagged('"3"', OTHER_LIST)
  await source.refresh()
  await source.refresh()
  t.strictSame(requests.map(({ ifNoneMatch }) => ifNoneMatch), [undefined, '"1"', '"1"', '"1"', '"3"'], 'never that of a refused list')
  t.strictSame(events.sets, [['http://10.0.0.1:3000'], ['http://10.0.0.2:3000']])
  t.equal(events.failures.length, 1)
})

for (const { desc, answer, problem } of [
  { desc: 'another status', answer: (_, response) => response.writeHead(503).end('later'), problem: 'answered 503, not 200' },
  { desc: 'a redirect', answer: (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(), problem: 'answered 302: redirects are not followed' },
  { desc: '304 that nobody asked for', answer: (_, response) => response.writeHead(304).end(), problem: 'answered 304, not 200' },
  { desc: 'a bad list', answer: (_, response) => response.end('{}'), problem: 'the list is refused: must be a list, not a mapping' },
  { desc: 'a body of more than 4 MiB', answer: (_, response) => response.end(Buffer.alloc(4_194_305, 0x20)), problem: 'the list is refused: is larger than 4194304 bytes' },
  { desc: 'a body without end', answer: endless, problem: 'the list is refused: is larger than 4194304 bytes' },
  { desc: 'a small body that unpacks to more than 4 MiB', answer: packed, problem: 'the list is refused: is larger than 4194304 bytes' },
  { desc: 'a body that is cut off', answer: (_, response) => response.writeHead(200, { 'content-length': 100 }).write('[', () => response.destroy()), problem: /^the URL can't be asked/ },
  { desc: 'a connection that is closed', answer: (request) => request.socket.destroy(), problem: /^the URL can't be asked/ },
] satisfies { desc: string; answer: Answer; problem: string | RegExp }[]) {
  t.test(`${desc} is a failure, told once, and a good list is taken after it`, async t => {
    const { state, requests, events, source } = await setUp(t, answer)
    await source.refresh()
    await source.refresh()
    t.match(events.all, [problem])
    t.equal(events.all.length, 1)
    state.answer = (_, response) => response.end(LIST)
    await source.refresh()
    t.strictSame(events.sets, [['http://10.0.0.1:3000']])
    t.ok(requests.every(({ url }) => url?.startsWith('/endpoints')), 'nothing else is asked')
  })
}

function endless(_request: IncomingMessage, response: ServerResponse): void {
  const write = (): void => {
    if (!response.destroyed) response.write(Buffer.alloc(65_536, 0x20), () => setImmediate(write))
  }
  write()
}

function packed(_request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(8_388_608, 0x20)))
}

for (const { desc, answer } of [
  { desc: 'no head', answer: () => {} },
  { desc: 'half a body', answer: (_, response) => response.write('["http:') },
] satisfies { desc: string; answer: Answer }[]) {
  t.test(`a slow server (${desc}) is a failure after timeoutMs`, async t => {
    const { state, events, source } = await setUp(t, answer, 1000)
    const failing = source.refresh()
    await until(() => events.all.length > 0)
    await failing
    t.strictSame(events.all, ['no answer within 1000 ms'])
    state.answer = (_, response) => response.end(LIST)
    await source.refresh()
    t.strictSame(events.sets, [['http://10.0.0.1:3000']])
  })
}

t.test('stop ends a request that is under way, without an event', async t => {
  const { server, requests, events, source } = await setUp(t, () => {})
  const closed = new Promise<void>(resolve => server.once('connection', socket => socket.once('close', resolve)))
  source.start()
  await until(() => requests.length > 0)
  source.stop()
  await closed
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(requests.length, 1)
  t.strictSame(events.all, [])
})

t.test('a problem never quotes the URL', async t => {
  const events = new RecordedEvents()
  const url = 'http://user:s3cret@127.0.0.1:9/endpoints'
  await createSource({ url, scheme: 'http', resolver: null, intervalMs: 100, timeoutMs: 5000 }, events).refresh()
  t.strictSame(events.all, ['the URL can\'t be asked'])
})
