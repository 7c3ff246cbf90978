import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { Worker } from 'node:worker_threads'
import t from 'tap'

const freePort = (): Promise<number> => new Promise(resolve => {
  const server = createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as { port: number }
    server.close(() => resolve(port))
  })
})
const ask = (port: number): Promise<string> => new Promise(resolve => {
  const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'))
  let bytes = ''
  socket.on('data', chunk => { bytes += String(chunk) })
  socket.on('error', cause => resolve((cause as NodeJS.ErrnoException).code ?? ''))
  socket.on('close', () => resolve(bytes))
})

t.test('a worker that fails closes its sockets, takes nobody with it, and another serves on', async t => {
  const port = await freePort()
  const start = async (): Promise<Worker> => {
    const worker = new Worker(new URL('../support/crashing-worker.js', import.meta.url), { workerData: { port } })
    await once(worker, 'message')
    return worker
  }
  const [failing, other] = [await start(), await start()]
  const told = once(failing, 'message')
  const exited = once(failing, 'exit')
  failing.postMessage('fail')
  t.strictSame(await told, ['closing: a fault'])
  t.strictSame(await exited, [1])
  // Every connection goes to the one that is left: the listener of the dead one is gone.
  for (let i = 0; i < 20; i++) t.match(await ask(port), /served$/)
  const replaced = await start()
  t.match(await ask(port), /served$/)
  for (const worker of [other, replaced]) {
    const exit = once(worker, 'exit')
    worker.postMessage('fail')
    await exit
  }
  t.equal(await ask(port), 'ECONNREFUSED')
})
