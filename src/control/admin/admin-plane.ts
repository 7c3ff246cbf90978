import type { FastifyInstance } from 'fastify'
import type { Document } from '../../config/schema.ts'
import type { IdentitiesMessage } from '../../protocol/messages.ts'
import type { Log } from '../../telemetry/log.ts'
import { changeMessage, type DeclaredIdentities, identitiesMessage } from '../identities.ts'
import type { IdentityStore } from '../identity-store.ts'
import { KeyStore } from '../key-store.ts'
import { addressOf, findPorts } from '../ports.ts'
import type { AdminDeps } from './routes.ts'

type PlaneConfig = Pick<Document, 'admin' | 'dataDirectory'>
type PlaneLog = Pick<Log, 'info' | 'error'>

/**
 * What changes at run time: the store of consumers and keys, the admin API over it, and what the workers are told of it.
 * Opened before the workers start, listens when they serve, is closed when they have drained: until then `status` shows
 * how far it is, and a revocation still reaches the exchanges that go on.
 */
export class AdminPlane {
  readonly #config: PlaneConfig
  readonly #store: IdentityStore | null
  readonly #log: PlaneLog
  readonly #tell: (message: IdentitiesMessage) => void
  #declared: DeclaredIdentities
  #server: FastifyInstance | null = null

  private constructor(config: PlaneConfig, declared: DeclaredIdentities, store: IdentityStore | null, log: PlaneLog, tell: (message: IdentitiesMessage) => void) {
    this.#config = config
    this.#declared = declared
    this.#store = store
    this.#log = log
    this.#tell = tell
    if (store !== null) store.onChange = change => tell(changeMessage(change, this.#declared.consumers, store))
  }

  /**
   * `tell`: brings a change to the workers; those that start take `identities()`. Without an admin API nothing is made in
   * the data directory, but keys that an earlier run made go on to be valid. Throws an Error with a remedy.
   */
  static async open(config: PlaneConfig, declared: DeclaredIdentities, log: PlaneLog, tell: (message: IdentitiesMessage) => void): Promise<AdminPlane> {
    const { admin, dataDirectory: folder } = config
    const isNeeded = admin !== null || KeyStore.hasContent(folder)
    const maxKeysPerConsumer = admin?.maxKeysPerConsumer ?? 1
    const store = isNeeded ? await KeyStore.open({ folder, maxKeysPerConsumer, nowMs: Date.now }) : null
    return new AdminPlane(config, declared, store, log, tell)
  }

  /** All who may call, for a worker that starts. */
  identities(): IdentitiesMessage {
    return identitiesMessage(this.#declared.consumers, this.#store, Date.now())
  }

  /** After a reload. */
  follow(declared: DeclaredIdentities): void {
    const isSame = JSON.stringify(declared.consumers) === JSON.stringify(this.#declared.consumers)
    this.#declared = declared
    if (!isSame) this.#tell(this.identities())
  }

  /** Starts the admin API, where the document has one. Throws an Error with a remedy. */
  async listen(status: AdminDeps['status']): Promise<void> {
    const { admin } = this.#config
    if (admin === null || this.#store === null) return
    const port = (await findPorts([admin.address], new Map())).get(admin.address)!
    // Fastify and what it brings along are loaded by those who use it.
    const { createAdminServer } = await import('./server.ts')
    const server = createAdminServer(admin.token, {
      store: this.#store,
      declared: () => this.#declared,
      status,
      onAudit: (event, details) => this.#log.info({ event, ...details }),
      nowMs: Date.now,
    }, this.#log)
    const { host } = addressOf(admin.address)
    await server.listen({ host, port })
    this.#server = server
    this.#log.info({ event: 'adminListens', url: `http://${host.includes(':') ? `[${host}]` : host}:${port}`, hasToken: admin.token !== null })
  }

  async close(): Promise<void> {
    await this.#server?.close()
    this.#server = null
    await this.#store?.close()
  }
}
