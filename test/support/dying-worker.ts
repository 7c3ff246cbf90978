import { threadId, workerData } from 'node:worker_threads'

/**
 * Loaded into a gateway's threads (`--import`): each worker thread whose number DYING_THREADS names throws a while after
 * it has begun. Threads count from 1, which is the one that loads the document; the workers are the next.
 */
const DELAY_MS = 300
const named = process.env['DYING_THREADS'] ?? ''
const isWorker = typeof workerData === 'object' && workerData !== null && 'parts' in workerData
if (isWorker && named.split(',').includes(String(threadId))) {
  setTimeout(() => { throw new Error('struck by the test') }, DELAY_MS)
}
