import { Headers } from '../../src/http/headers.ts'
import type { RequestHead } from '../../src/http/message.ts'
import type { Identity, PolicyExchange } from '../../src/policies/policy.ts'

export type FakeExchange = PolicyExchange & { readonly added: string[]; finish(): void; identity: Identity | null }

/** An exchange as policies see it. `added`: `name: value` of what was added to the response. */
export function fakeExchange(head: Partial<Omit<RequestHead, 'headers'>> & { readonly headers?: Readonly<Record<string, string>> } = {}, options: { clientIp?: string } = {}): FakeExchange {
  const headers = new Headers()
  for (const [name, value] of Object.entries(head.headers ?? {})) headers.add(name, value)
  const added: string[] = []
  const finishers: (() => void)[] = []
  const request: RequestHead = {
    method: 'GET', path: '/', query: '', host: 'api.example.com', contentLength: null, isChunked: false, hasForwarding: false,
    ...head, headers,
  }
  return {
    request, added, identity: null, isTls: false, routeId: 'r', requestId: 'id-1', clientIp: options.clientIp ?? '192.0.2.1', upstreamPath: '/',
    parameter: () => undefined,
    addResponseHeader: (name, value) => { added.push(`${name}: ${value}`) },
    whenFinished: run => { finishers.push(run) },
    finish: () => { for (const run of finishers.splice(0)) run() },
  }
}
