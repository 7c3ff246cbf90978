import type { EndpointTables } from '../protocol/endpoint-table.ts'
import type { FromWorker, NonceMemories, SnapshotParts } from '../protocol/messages.ts'
import type { Supervisor } from './supervisor.ts'

/** A worker that has not answered by then is counted as a refusal. */
const ACKNOWLEDGE_MS = 60_000

/** What goes with a version besides: the endpoints as known now, and memory that workers share. */
type Beside = { readonly tables: EndpointTables; readonly nonces: NonceMemories }

type Waiting = { readonly version: string; readonly answer: 'prepared' | 'committed'; readonly workers: Set<number>; problems: string[]; done(): void }

/**
 * Brings a version to all workers, or to none: each prepares it, and only when all have is it committed. A worker that
 * dies in between is not waited for: the one that replaces it starts with what is current then.
 */
export class Publisher {
  readonly #supervisor: () => Supervisor
  readonly #beside: () => Beside
  #current: SnapshotParts
  #waiting: Waiting | null = null
  /** What each worker serves. */
  readonly #versions = new Map<number, string>()
  /** What is under way: one after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(first: SnapshotParts, supervisor: () => Supervisor, beside: () => Beside) {
    this.#current = first
    this.#beside = beside
    this.#supervisor = supervisor
  }

  get current(): SnapshotParts {
    return this.#current
  }

  /** Rejects with the first refusal; then every worker serves what it served before. */
  publish(parts: SnapshotParts): Promise<void> {
    return this.#inTurn(() => this.#publish(parts))
  }

  async #publish(parts: SnapshotParts): Promise<void> {
    const supervisor = this.#supervisor()
    const { version } = parts
    const workers = supervisor.ready()
    const prepared = this.#expect('prepared', version, workers)
    for (const worker of workers) supervisor.send(worker, { type: 'prepare', parts, ...this.#beside() })
    const problems = await prepared
    if (problems.length > 0) {
      for (const worker of workers) supervisor.send(worker, { type: 'abandon', version })
      throw new Error(problems[0])
    }
    // From here a worker that starts anew takes the new version.
    this.#current = parts
    const committed = this.#expect('committed', version, workers)
    for (const worker of workers) supervisor.send(worker, { type: 'commit', version })
    await committed
    for (const worker of supervisor.ready()) await this.#bring(worker)
  }

  /** A worker that came up while, or after, a version was published may have started with the one before. */
  async #bring(worker: number): Promise<void> {
    const parts = this.#current
    const { version } = parts
    const supervisor = this.#supervisor()
    if (this.#versions.get(worker) === version || !supervisor.ready().includes(worker)) return
    const prepared = this.#expect('prepared', version, [worker])
    supervisor.send(worker, { type: 'prepare', parts, ...this.#beside() })
    if ((await prepared).length > 0) return
    const committed = this.#expect('committed', version, [worker])
    supervisor.send(worker, { type: 'commit', version })
    await committed
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(run)
    this.#turn = done.catch(() => { /* Told to who asked. */ })
    return done
  }

  onMessage(worker: number, message: FromWorker): void {
    if (message.type === 'ready' || message.type === 'committed') this.#versions.set(worker, message.version)
    if (message.type === 'ready') {
      if (message.version !== this.#current.version) void this.#inTurn(() => this.#bring(worker))
      return
    }
    const waiting = this.#waiting
    if (waiting === null || !('version' in message) || message.version !== waiting.version) return
    if (message.type === 'refused') waiting.problems.push(message.problem)
    else if (message.type !== waiting.answer) return
    this.#settle(worker)
  }

  onExit(worker: number): void {
    this.#versions.delete(worker)
    this.#settle(worker)
  }

  #settle(worker: number): void {
    const waiting = this.#waiting
    if (waiting?.workers.delete(worker) && waiting.workers.size === 0) waiting.done()
  }

  /** Waits for those of `asked` that live still. */
  #expect(answer: Waiting['answer'], version: string, asked: readonly number[]): Promise<string[]> {
    const ready = this.#supervisor().ready()
    const workers = asked.filter(worker => ready.includes(worker))
    return new Promise(resolve => {
      const timer = setTimeout(() => {
        waiting.problems.push(`workers ${[...waiting.workers].join(', ')} did not answer within ${ACKNOWLEDGE_MS} ms`)
        waiting.done()
      }, ACKNOWLEDGE_MS)
      const waiting: Waiting = {
        version, answer, workers: new Set(workers), problems: [],
        done: () => {
          clearTimeout(timer)
          this.#waiting = null
          resolve(waiting.problems)
        },
      }
      this.#waiting = waiting
      if (workers.length === 0) waiting.done()
    })
  }
}
