import t from 'tap'
import { Publisher } from '../../src/control/publisher.ts'
import type { Supervisor } from '../../src/control/supervisor.ts'
import type { SnapshotParts, ToWorker } from '../../src/protocol/messages.ts'

const partsOf = (version: string): SnapshotParts => ({ version, bytes: new SharedArrayBuffer(0), ends: [], listeners: [] })
const turn = (): Promise<void> => new Promise(resolve => { setImmediate(resolve) })

/** Workers that answer as real ones do, unless `silent` holds them. */
class FakeWorkers {
  readonly alive = new Set<number>()
  readonly silent = new Set<number>()
  readonly serves = new Map<number, string>()
  publisher!: Publisher
  #prepared = new Map<number, string>()

  ready(): number[] {
    return [...this.alive]
  }

  send(worker: number, message: ToWorker): void {
    if (!this.alive.has(worker) || this.silent.has(worker)) return
    setImmediate(() => {
      if (message.type === 'prepare') {
        this.#prepared.set(worker, message.parts.version)
        this.publisher.onMessage(worker, { type: 'prepared', version: message.parts.version })
      } else if (message.type === 'commit' && this.#prepared.get(worker) === message.version) {
        this.serves.set(worker, message.version)
        this.publisher.onMessage(worker, { type: 'committed', version: message.version })
      }
    })
  }

  start(worker: number, version: string): void {
    this.alive.add(worker)
    this.serves.set(worker, version)
    this.publisher.onMessage(worker, { type: 'ready', version })
  }

  die(worker: number): void {
    this.alive.delete(worker)
    this.publisher.onExit(worker)
  }
}

function setUp(): FakeWorkers {
  const workers = new FakeWorkers()
  workers.publisher = new Publisher(partsOf('1'), () => workers as unknown as Supervisor, () => ({ tables: {}, nonces: {} }))
  workers.start(0, '1')
  workers.start(1, '1')
  return workers
}

t.test('a worker that started with the version before, and is ready after the publication, is brought to the new one', async t => {
  const workers = setUp()
  workers.die(0)
  await workers.publisher.publish(partsOf('2'))
  t.equal(workers.serves.get(1), '2')
  workers.start(0, '1')
  for (let i = 0; i < 10; i++) await turn()
  t.equal(workers.serves.get(0), '2')
})

t.test('so is one that is ready while it is published', async t => {
  const workers = setUp()
  workers.die(0)
  const published = workers.publisher.publish(partsOf('2'))
  workers.start(0, '1')
  await published
  for (let i = 0; i < 10; i++) await turn()
  t.strictSame([...workers.serves.values()].sort(), ['2', '2'])
})

t.test('a worker that dies while it prepares is not waited for', async t => {
  const workers = setUp()
  workers.silent.add(0)
  const published = workers.publisher.publish(partsOf('2'))
  for (let i = 0; i < 3; i++) await turn()
  workers.die(0)
  const beforeMs = performance.now()
  await published
  t.ok(performance.now() - beforeMs < 1000)
  t.equal(workers.publisher.current.version, '2')
})
