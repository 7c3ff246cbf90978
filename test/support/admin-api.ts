import { mkdtempSync, rmSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { AdminDeps } from '../../src/control/admin/routes.ts'
import { createAdminServer } from '../../src/control/admin/server.ts'
import { KeyStore } from '../../src/control/key-store.ts'

export type AdminAnswer = { readonly status: number; readonly headers: Record<string, string | string[] | undefined>; readonly text: string; readonly body: Record<string, unknown> }
export type AdminAsk = { readonly body?: string | Buffer | object; readonly headers?: Record<string, string> }

/** The admin API on a port of its own, over a store in files, with a status that is made up. */
export class AdminApi {
  readonly port: number
  readonly server: ReturnType<typeof createAdminServer>
  readonly store: KeyStore
  readonly audit: object[] = []
  readonly faults: object[] = []
  nowMs = Date.parse('2030-01-01T00:00:00Z')
  declared: ReturnType<AdminDeps['declared']> = {
    consumers: [{ id: 'declared', plan: 'gold', groups: ['partners'], keys: [`sha256:${'a'.repeat(64)}`] }], plans: ['gold', 'silver'],
  }

  private constructor(store: KeyStore, token: string | null) {
    this.store = store
    this.port = 0
    this.server = createAdminServer(token, {
      store,
      declared: () => this.declared,
      status: () => ({
        version: '0123456789abcdef', startedAt: '2029-12-31T00:00:00.000Z', uptimeMs: 93_784_000, workers: { configured: 2, ready: 1 },
        upstreams: { users: { endpoints: [{ url: 'http://10.0.0.1:3000', isHealthy: false, priority: 0, zone: null }] }, empty: { endpoints: [] } },
      }),
      onAudit: (event, details) => this.audit.push({ event, ...details }),
      nowMs: () => this.nowMs,
    }, { error: (line: object) => { this.faults.push(line) } } as never)
  }

  static async start(t: Test, token: string | null = null): Promise<AdminApi> {
    const folder = mkdtempSync(join(tmpdir(), 'penstock-admin-'))
    let nowMs = (): number => 0
    const store = await KeyStore.open({ folder, maxKeysPerConsumer: 2, nowMs: () => nowMs() })
    const api = new AdminApi(store, token)
    nowMs = () => api.nowMs
    await api.server.listen({ host: '127.0.0.1', port: 0 })
    Object.assign(api, { port: (api.server.server.address() as { port: number }).port })
    t.teardown(async () => {
      await api.server.close()
      await store.close()
      rmSync(folder, { recursive: true })
    })
    return api
  }

  ask(method: string, path: string, { body, headers = {} }: AdminAsk = {}): Promise<AdminAnswer> {
    const bytes = body === undefined ? null : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    return new Promise((resolve, reject) => {
      const outgoing = request({
        host: '127.0.0.1', port: this.port, method, path, agent: false,
        headers: { ...(bytes === null ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(bytes)) }), ...headers },
      }, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString()
          resolve({ status: response.statusCode!, headers: response.headers, text, body: text === '' ? {} : JSON.parse(text) as Record<string, unknown> })
        })
        response.on('error', reject)
      })
      outgoing.on('error', reject)
      outgoing.end(bytes ?? undefined)
    })
  }
}
