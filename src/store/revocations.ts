import type { RedisClient } from './redis-client.ts'
import { RedisError } from './redis-error.ts'
import { RedisSubscriber } from './redis-subscriber.ts'
import { parseRevocation, type Revocation, revocationMember } from './revocation.ts'
import { Script } from './script.ts'

const SWEEP_MS = 60_000
const RELOAD_RETRY_MS = 250
/** Members of one call. */
const PAGE = 500

/**
 * Keeps revocations and tells of those that are new or last longer now.
 * KEYS: the set. ARGV: the channel, then member and end of each (milliseconds since 1970).
 */
const KEEP = new Script(`
local clock = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000)))
local news = {}
for i = 2, #ARGV, 2 do
  if redis.call('ZADD', KEYS[1], 'GT', 'CH', ARGV[i + 1], ARGV[i]) == 1 then news[#news + 1] = { ARGV[i], ARGV[i + 1] } end
end
local last = redis.call('ZRANGE', KEYS[1], 0, 0, 'REV', 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2]))) end
if #news > 0 then redis.call('PUBLISH', ARGV[1], cjson.encode(news)) end
return #news
`)

export type RevocationsOptions = {
  /** Those that are new here, also at the first load; each once. */
  readonly onRevoked: (revocations: readonly Revocation[]) => void
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/**
 * The revocations that all nodes share: kept in Redis until they may be forgotten, published to every node, and held here too.
 * All are loaded whenever the subscription stands anew, so a gap in it is healed; what Redis has lost meanwhile (a failover,
 * FLUSHALL) and this node still has is given back. Nothing that was known here is dropped because Redis does not know it.
 */
export class Revocations {
  readonly #client: RedisClient
  readonly #key: string
  readonly #channel: string
  readonly #options: RevocationsOptions
  readonly #now: () => number
  readonly #subscriber: RedisSubscriber
  readonly #sweep: NodeJS.Timeout
  readonly #byMember = new Map<string, Revocation>()
  readonly #waiting = new Set<() => void>()
  /** Counts subscriptions; a load for an older one is of no use. */
  #epoch = 0
  #isLoaded = false
  #isClosed = false

  constructor(client: RedisClient, options: RevocationsOptions) {
    this.#client = client
    this.#options = options
    this.#now = options.now ?? Date.now
    this.#key = `${client.keyPrefix}revoked:1`
    this.#channel = `${client.keyPrefix}revocations:1`
    this.#subscriber = new RedisSubscriber(client, this.#channel, {
      onMessage: text => this.#take(parseMessage(text)),
      onSubscribed: () => { void this.#load(this.#epoch += 1) },
    })
    this.#sweep = setInterval(() => this.#forgetExpired(), SWEEP_MS)
    this.#sweep.unref()
  }

  /** All that hold now. */
  current(): Revocation[] {
    const nowMs = this.#now()
    return [...this.#byMember.values()].filter(({ expiresAtMs }) => expiresAtMs > nowMs)
  }

  /** The subscription stands, and all that Redis has is here. */
  get isCurrent(): boolean {
    return this.#isLoaded && this.#subscriber.isSubscribed
  }

  /** Resolves when what Redis has is here for the first time (or again after a loss), or at close. */
  async whenCurrent(): Promise<void> {
    if (this.isCurrent || this.#isClosed) return
    await new Promise<void>(resolve => this.#waiting.add(resolve))
  }

  /**
   * Holds here from now on. Resolves when Redis has it and all nodes are told; rejects with RedisError where it has not, and is
   * then given to Redis with the next load.
   */
  async revoke(revocation: Revocation): Promise<void> {
    const member = revocationMember(revocation)
    if (parseRevocation(member, revocation.expiresAtMs) === null) throw new TypeError('a revocation has a kind, a value of at most 1024 characters and whole times')
    this.#take([revocation])
    await this.#keep([revocation])
  }

  close(): void {
    this.#isClosed = true
    clearInterval(this.#sweep)
    this.#subscriber.close()
    this.#wake()
  }

  #take(revocations: readonly Revocation[]): void {
    const nowMs = this.#now()
    const news: Revocation[] = []
    for (const revocation of revocations) {
      const member = revocationMember(revocation)
      const known = this.#byMember.get(member)
      if (revocation.expiresAtMs <= nowMs || known !== undefined && known.expiresAtMs >= revocation.expiresAtMs) continue
      this.#byMember.set(member, revocation)
      news.push(revocation)
    }
    if (news.length > 0) this.#options.onRevoked(news)
  }

  async #load(epoch: number): Promise<void> {
    this.#isLoaded = false
    const isStale = (): boolean => this.#isClosed || epoch !== this.#epoch
    while (!isStale()) {
      try {
        await this.#loadOnce()
        if (isStale()) return
        this.#isLoaded = true
        this.#wake()
        return
      } catch (cause) {
        if (!(cause instanceof RedisError)) throw cause
        await new Promise(resolve => setTimeout(resolve, RELOAD_RETRY_MS).unref())
      }
    }
  }

  async #loadOnce(): Promise<void> {
    const inRedis = new Map<string, number>()
    let cursor = '0'
    do {
      // A scan answers all that is there from its start to its end; what comes meanwhile is published.
      const [next, flat] = await this.#client.command(this.#key, 'ZSCAN', [this.#key, cursor, 'COUNT', PAGE]) as [string, string[]]
      const page: Revocation[] = []
      for (let i = 0; i + 1 < flat.length; i += 2) {
        const revocation = parseRevocation(flat[i], Number(flat[i + 1]))
        if (revocation === null) continue
        inRedis.set(flat[i]!, revocation.expiresAtMs)
        page.push(revocation)
      }
      this.#take(page)
      cursor = next
    } while (cursor !== '0')
    const missing = this.current().filter(revocation => (inRedis.get(revocationMember(revocation)) ?? 0) < revocation.expiresAtMs)
    for (let i = 0; i < missing.length; i += PAGE) await this.#keep(missing.slice(i, i + PAGE))
  }

  async #keep(revocations: readonly Revocation[]): Promise<void> {
    const args = revocations.flatMap(revocation => [revocationMember(revocation), revocation.expiresAtMs])
    await this.#client.withNode(this.#key, node => KEEP.run(node, [this.#key], [this.#channel, ...args]))
  }

  #forgetExpired(): void {
    const nowMs = this.#now()
    for (const [member, { expiresAtMs }] of this.#byMember) if (expiresAtMs <= nowMs) this.#byMember.delete(member)
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** Reads `[[member, end], …]`; what is not of this shape is left out. */
function parseMessage(text: string): Revocation[] {
  let entries: unknown
  try {
    entries = JSON.parse(text)
  } catch {
    return []
  }
  if (!Array.isArray(entries)) return []
  return entries.flatMap((entry: unknown) => {
    const revocation = Array.isArray(entry) ? parseRevocation(entry[0], Number(entry[1])) : null
    return revocation === null ? [] : [revocation]
  })
}
