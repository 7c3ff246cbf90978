import { parentPort, workerData } from 'node:worker_threads'
import { Listener } from '../../src/downstream/listener.ts'
import { guardAgainstCrash } from '../../src/worker/crash-guard.ts'

/** A worker that serves and, when it is told to, fails where nobody catches it. */
const listener = new Listener(null, response => { response.end('served') })
guardAgainstCrash(cause => {
  parentPort!.postMessage(`closing: ${(cause as Error).message}`)
  listener.close()
})
await listener.listen('127.0.0.1', (workerData as { port: number }).port)
parentPort!.postMessage('listening')
parentPort!.on('message', () => { throw new Error('a fault') })
