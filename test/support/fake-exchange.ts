import { Headers } from '../../src/http/headers.ts'
import type { RequestHead } from '../../src/http/message.ts'
import type { Identity, PolicyExchange } from '../../src/policies/policy.ts'

/** An exchange for tests of policies: what they add and hang on it can be looked at. */
export class FakeExchange implements PolicyExchange {
  readonly request: RequestHead
  routeId = 'route'
  requestId = 'request-1'
  clientIp = '203.0.113.7'
  upstreamPath = '/'
  isTls = false
  identity: Identity | null = null
  readonly added = new Headers()
  readonly #finishers: (() => void)[] = []

  constructor(headers: Readonly<Record<string, string>> = {}, head: Partial<RequestHead> = {}) {
    const lines = new Headers()
    for (const [name, value] of Object.entries(headers)) lines.add(name, value)
    this.request = { method: 'GET', path: '/', query: '', host: 'a', headers: lines, contentLength: null, isChunked: false, hasForwarding: false, ...head }
  }

  parameter(): string | undefined {
    return undefined
  }

  addResponseHeader(name: string, value: string): void {
    this.added.add(name, value)
  }

  whenFinished(run: () => void): void {
    this.#finishers.push(run)
  }

  finish(): void {
    for (const run of this.#finishers.splice(0)) run()
  }
}
