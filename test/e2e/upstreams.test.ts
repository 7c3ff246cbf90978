import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { Load } from '../support/load.ts'

for (const { desc, upstream } of [
  { desc: 'pipelining 16, one connection', upstream: { pipelining: 16, maxConnections: 1 } },
  { desc: 'pipelining 4, some connections', upstream: { pipelining: 4, maxConnections: 8 } },
  { desc: 'least-requests, few connections and a queue', upstream: { balance: 'least-requests', maxConnections: 2 } },
]) {
  t.test(`${desc}: every request gets its own answer`, async t => {
    let connections = 0
    const server = createServer((incoming, response) => {
      const number = incoming.url!.split('/').at(-1)
      // Some answers take longer, so that others queue up behind them; some end their connection.
      if (Number(number) % 50 === 0) response.setHeader('connection', 'close')
      setTimeout(() => response.end(`number ${number}`), Number(number) % 7 === 0 ? 3 : 0)
    })
    server.on('connection', () => { connections++ })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    const gateway = await GatewayProcess.start({
      accessLog: null,
      upstreams: { u: { endpoints: [`http://127.0.0.1:${port}`], ...upstream } },
      routes: [{ id: 'n', match: { path: '/n/{number}' }, upstream: 'u' }],
    })
    const load = new Load(gateway.port, 24)
    await sleep(1500)
    const { answered, wrong, cut } = await load.stop()
    t.strictSame([...answered.keys()], [200])
    t.ok(answered.get(200)! > 200, `${answered.get(200)} answers over ${connections} connections`)
    t.strictSame(wrong, [])
    t.equal(cut, 0)
    await gateway.stop()
    server.close()
    server.closeAllConnections()
  })
}
