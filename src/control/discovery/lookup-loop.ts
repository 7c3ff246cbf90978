import type { EndpointInput } from '../../upstream/endpoint.ts'

/** An endpoint with every value that it can have. */
export type FoundEndpoint = Required<Exclude<EndpointInput, string>>

export type DiscoveryEvents = {
  /** The set is another than before, or the first; the order in it means nothing. It may be empty. */
  onEndpoints(endpoints: readonly FoundEndpoint[]): void
  /** Look-ups began to fail, or fail for another reason now; what was known before goes on. */
  onFailure(problem: string): void
}

/** Where endpoints are found while the gateway runs. No event comes after `stop`; a stopped source is not started again. */
export type EndpointSource = {
  /** Looks at once, then again and again. */
  start(): void
  stop(): void
  /** Looks now, or joins the look-up that is under way; done when the events have been told. Never rejects. */
  refresh(): Promise<void>
}

/** What one look-up found. */
export type Found = {
  /** null: as before. */
  readonly endpoints: readonly FoundEndpoint[] | null
  /** Until the next look-up. */
  readonly nextMs: number
  /** What could not be looked up, where the rest could; null: all was. */
  readonly problem: string | null
}

/**
 * Looks once. Rejects with a LookupError when there is no answer. `signal` is aborted when its time is over or the source
 * is stopped; then it must settle soon, whatever it waits for.
 */
export type Lookup = (signal: AbortSignal) => Promise<Found>

/** A look-up without an answer. The message is the same as long as the cause is, since each new one is told. */
export class LookupError extends Error {
  override readonly name = 'LookupError'
}

type LoopOptions = { readonly intervalMs: number; readonly timeoutMs: number }

/** Looks up time and again, one at a time, and tells what changed. After a failure it looks again in `intervalMs`. */
export class LookupLoop implements EndpointSource {
  readonly #lookup: Lookup
  readonly #options: LoopOptions
  readonly #events: DiscoveryEvents
  #timer: NodeJS.Timeout | null = null
  #abort: AbortController | null = null
  #underWay: Promise<void> | null = null
  #isStarted = false
  #isStopped = false
  /** Of the last set that was told; null: none yet. */
  #told: string | null = null
  /** The last failure that was told; null: it works. */
  #problem: string | null = null

  constructor(lookup: Lookup, options: LoopOptions, events: DiscoveryEvents) {
    this.#lookup = lookup
    this.#options = options
    this.#events = events
  }

  start(): void {
    if (this.#isStarted) return
    this.#isStarted = true
    void this.refresh()
  }

  stop(): void {
    this.#isStopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#abort?.abort(new LookupError('stopped'))
  }

  refresh(): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    this.#underWay ??= this.#look().finally(() => {
      this.#underWay = null
    })
    return this.#underWay
  }

  async #look(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer)
    const found = await this.#find()
    if (this.#isStopped) return
    // Before the events: one of them may stop the source.
    if (this.#isStarted) this.#timer = setTimeout(() => void this.refresh(), found.nextMs).unref()
    this.#tell(found)
  }

  async #find(): Promise<Found> {
    const { intervalMs, timeoutMs } = this.#options
    const abort = new AbortController()
    this.#abort = abort
    const guard = setTimeout(() => abort.abort(new LookupError(`no answer within ${timeoutMs} ms`)), timeoutMs).unref()
    try {
      return await this.#lookup(abort.signal)
    } catch (cause) {
      // What the look-up makes of being aborted says less than why it was.
      const { message } = (abort.signal.aborted ? abort.signal.reason : cause) as Error
      return { endpoints: null, nextMs: intervalMs, problem: message }
    } finally {
      clearTimeout(guard)
      this.#abort = null
    }
  }

  #tell({ endpoints, problem }: Found): void {
    const set = endpoints === null ? this.#told : setOf(endpoints)
    if (endpoints !== null && set !== this.#told) {
      this.#told = set
      if (problem === null) this.#problem = null
      // A problem beside it is told by the next look-up, if it is still there.
      this.#events.onEndpoints(endpoints)
      return
    }
    const isNew = problem !== null && problem !== this.#problem
    this.#problem = problem
    if (isNew) this.#events.onFailure(problem)
  }
}

/** The same text for the same endpoints, in any order. */
function setOf(endpoints: readonly FoundEndpoint[]): string {
  return endpoints
    .map(({ url, weight, priority, zone, name }) => JSON.stringify([url, weight, priority, zone, name]))
    .sort()
    .join('\n')
}
