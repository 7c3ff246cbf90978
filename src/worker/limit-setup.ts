import type { RedisConfig } from '../config/schema-redis.ts'
import { ConcurrencyTable } from '../limits/concurrency-table.ts'
import { LimitService } from '../limits/limit-service.ts'
import { LimitTable } from '../limits/limit-table.ts'
import type { LimitMemories, WorkerLogLine } from '../protocol/messages.ts'

const REPORT_MS = 10_000

export type LimitSetup = { readonly service: LimitService; readonly close: () => void }

/**
 * The limits of this worker: in the memory that all workers share and, with `redis`, by what all nodes share. A limit goes
 * by its `onStoreFailure` while Redis is away; nothing here waits for it. `report`: a line for the log.
 */
export async function setUpLimits(memories: LimitMemories, redis: RedisConfig | null, files: Readonly<Record<string, string>>, report: (line: WorkerLogLine) => void): Promise<LimitSetup> {
  const shadow = new Map<string, number>()
  const client = redis === null ? null : await connect(redis, files, report)
  const service = new LimitService({
    table: new LimitTable(memories.limits), concurrency: new ConcurrencyTable(memories.concurrency), authority: client?.authority ?? null,
    onShadowDenial: (route, limit) => {
      const key = JSON.stringify([route, limit])
      shadow.set(key, (shadow.get(key) ?? 0) + 1)
    },
  })
  const tell = (): void => {
    for (const [key, denials] of shadow) {
      const [route, limit] = JSON.parse(key) as [string, string]
      report({ level: 'info', event: 'limitShadow', details: { route, limit, denials } })
    }
    shadow.clear()
  }
  const timer = setInterval(tell, REPORT_MS).unref()
  return {
    service,
    close: () => {
      clearInterval(timer)
      tell()
      client?.close()
    },
  }
}

/** Loaded only where it is used: ioredis would add to every start. */
async function connect(redis: RedisConfig, files: Readonly<Record<string, string>>, report: (line: WorkerLogLine) => void) {
  const [{ RedisClient }, { RedisAuthority }] = await Promise.all([import('../store/redis-client.ts'), import('../store/redis-authority.ts')])
  const client = new RedisClient(redis, {
    files,
    onEvent: ({ event, ...details }) => report({ level: event === 'redisLost' || event === 'redisWarning' ? 'warn' : 'info', event, details }),
  })
  return { authority: new RedisAuthority(client), close: () => client.close() }
}
