import { setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { monotonicClock } from '../base/clock.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { ConfigError } from '../config/config-error.ts'
import { loadSnapshot } from '../config/load.ts'
import type { Snapshot } from '../config/snapshot.ts'
import { compile } from '../gateway/compile.ts'
import { ConcurrencyTable } from '../limits/concurrency-table.ts'
import { LimitService } from '../limits/limit-service.ts'
import { LimitTable } from '../limits/limit-table.ts'
import { LiveIdentities } from '../policies/auth/live-identities.ts'
import type { FromLoader, LoaderData } from './loader.ts'
import { toParts } from './snapshot-parts.ts'

/** Of this thread alone (Linux): the workers have the processor first. */
const NICENESS = 10

/** Compiles without serving it: what a worker would refuse is found before one is asked. Throws the reason. */
async function dryRun(snapshot: Snapshot): Promise<void> {
  const { routes, ...document } = snapshot.document
  const wheel = new TimerWheel(monotonicClock)
  await compile(
    { version: snapshot.version, document, files: snapshot.files, routeLists: () => [routes] },
    { wheel, tables: {}, onUpstreamEvent: () => {}, live: new LiveIdentities(), nonceMemory: null, limits: dryLimits(), previous: null, pause: async () => {} },
  )
}

/** Of its own, and small: a dry run admits nobody. */
function dryLimits(): LimitService {
  const table = new LimitTable(LimitTable.allocate(64))
  return new LimitService({ table, concurrency: new ConcurrencyTable(ConcurrencyTable.allocate(64, 1)), authority: null, onShadowDenial: () => {} })
}

async function load({ file, isReload, servedVersion }: LoaderData): Promise<FromLoader> {
  if (isReload) setPriority(0, NICENESS)
  try {
    const snapshot = loadSnapshot(file, process.env)
    if (snapshot.version === servedVersion) return { type: 'unchanged' }
    await dryRun(snapshot)
    const { routes, ...document } = snapshot.document
    return { type: 'loaded', parts: toParts(snapshot), document, files: snapshot.files, routeCount: routes.length }
  } catch (cause) {
    return cause instanceof ConfigError ? { type: 'invalid', problems: cause.problems }
      : { type: 'failed', problem: cause instanceof Error ? cause.message : String(cause) }
  }
}

parentPort!.postMessage(await load(workerData as LoaderData))
