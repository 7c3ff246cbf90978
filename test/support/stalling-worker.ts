import { parentPort } from 'node:worker_threads'
import { monotonicClock } from '../../src/base/clock.ts'
import { LoadMonitor } from '../../src/worker/load-monitor.ts'

// A worker whose loop stands still for a moment; it tells what its monitor saw, and ends.
const monitor = new LoadMonitor(monotonicClock)
monitor.configure({ maxLagMs: 50, maxHeapRatio: 0.9 })
const end = monotonicClock.nowMs() + 150
while (monotonicClock.nowMs() < end);
setTimeout(() => {
  parentPort!.postMessage({ level: monitor.level, heapRatio: monitor.heapRatio })
}, 1)
