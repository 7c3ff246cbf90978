import { fileURLToPath } from 'node:url'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { Load } from '../support/load.ts'
import { isWhole, sendRaw } from '../support/raw.ts'

const DYING = ['--import', fileURLToPath(new URL('../support/dying-worker.js', import.meta.url))]
const CONFIG = { accessLog: null, routes: [{ id: 'n', match: { path: '/n/{number}' }, mock: { status: 202, body: 'ok' } }] }
const isServed = async (port: number): Promise<boolean> =>
  (await sendRaw(port, ['GET /n/1 HTTP/1.1\r\nHost: a\r\n\r\n'], { until: isWhole })).bytes.startsWith('HTTP/1.1 202 ')

t.test('a worker that dies is replaced, and the other goes on serving meanwhile', async t => {
  process.env['DYING_THREADS'] = '2'
  const gateway = await GatewayProcess.startUnder(DYING, { ...CONFIG, workers: 2 })
  const load = new Load(gateway.port, 8)
  t.match(await gateway.event(['fault']), { worker: 0, problem: 'struck by the test' })
  t.match(await gateway.event(['workerRestart']), { worker: 0, crashes: 1 })
  t.match(await gateway.event(['workerReplaced']), { worker: 0 })
  const { answered, cut } = await load.stop()
  t.strictSame([...answered.keys()], [202])
  t.ok(cut <= 8, `${cut} were cut: none but those that the worker held`)
  t.ok(await isServed(gateway.port))
  const line = await gateway.reload({ ...CONFIG, workers: 2, routes: [...CONFIG.routes, { id: 'm', match: { path: '/m' }, mock: {} }] })
  t.equal(line.event, 'published', 'the replacement takes part in a reload')
  t.equal(await gateway.stop(), 0)
})

t.test('a crash loop backs off and is reported; in the end it serves', async t => {
  process.env['DYING_THREADS'] = '2,3,4'
  const gateway = await GatewayProcess.startUnder(DYING, CONFIG)
  t.match(await gateway.event(['workerCrashLoop']), { worker: 0, crashes: 3 })
  const waits = gateway.log.filter(line => line.event === 'workerRestart' || line.event === 'workerCrashLoop').map(line => line['waitMs'])
  t.strictSame(waits, [100, 200, 400])
  await gateway.until(() => gateway.log.filter(line => line.event === 'workerReplaced').length === 3)
  t.ok(await isServed(gateway.port))
  t.equal(await gateway.stop(), 0)
})
