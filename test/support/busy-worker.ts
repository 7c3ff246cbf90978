import { workerData } from 'node:worker_threads'

/** Loaded into a gateway's threads (`--import`): a worker's loop stands still for BUSY_MS in each second. */
const busyMs = Number(process.env['BUSY_MS'] ?? 0)
if (typeof workerData === 'object' && workerData !== null && 'parts' in workerData) {
  setInterval(() => {
    const end = performance.now() + busyMs
    while (performance.now() < end);
  }, 1000).unref()
}
