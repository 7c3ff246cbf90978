import { nowMs } from '../base/clock.ts'
import type { Failure } from '../base/failure.ts'
import type { RequestBody } from '../downstream/request-body.ts'
import type { RequestHead } from '../http/message.ts'
import type { Identity } from '../policies/policy.ts'
import { type AccessRecord, redactQuery } from '../telemetry/access-log.ts'
import type { Delivery } from './delivery.ts'
import type { CompiledRoute, LogSettings, Runtime } from './runtime.ts'

/** What a line of the access log is made of. */
export interface FinishedExchange {
  readonly runtime: Runtime
  readonly request: RequestHead
  readonly requestId: string
  readonly clientIp: string
  readonly route: CompiledRoute | null
  readonly identity: Identity | null
  readonly body: RequestBody | null
  readonly delivery: Delivery | null
  readonly status: number
  readonly bytesOut: number
  readonly startMs: number
  readonly headMs: number | null
  readonly failure: Failure | null
  readonly loggedHeaders: Readonly<Record<string, string>> | null
}

export function accessRecord(exchange: FinishedExchange, log: LogSettings): AccessRecord {
  const { request, route, delivery, failure } = exchange
  return {
    requestId: exchange.requestId,
    client: exchange.clientIp,
    method: request.method,
    host: request.host,
    path: request.path,
    query: log.query ? redactQuery(request.query, log.redact) : null,
    headers: exchange.loggedHeaders,
    route: route === null ? null : route.id,
    consumer: exchange.identity?.consumer?.id ?? null,
    // A client that left before an answer began was given none.
    status: exchange.status === 0 ? failure?.status ?? 0 : exchange.status,
    bytesIn: exchange.body === null ? 0 : exchange.body.byteCount,
    bytesOut: exchange.bytesOut,
    durationMs: nowMs() - exchange.startMs,
    headMs: exchange.headMs,
    upstream: delivery?.upstream.name ?? null,
    endpoint: delivery?.endpoint?.address.url ?? null,
    tries: delivery?.tries ?? 0,
    failure: failure === null ? null : failure.code,
    cause: failure === null ? null : failure.cause,
    version: exchange.runtime.version,
  }
}

/** Taken when the request comes in: policies may change or remove what was sent. */
export function loggedHeaders(request: RequestHead, log: LogSettings | null): Readonly<Record<string, string>> | null {
  if (log === null || log.headers.length === 0) return null
  const taken: Record<string, string> = {}
  for (const name of log.headers) {
    const value = request.headers.get(name)
    if (value !== undefined) taken[name] = log.redact.has(name) ? '[redacted]' : value
  }
  return taken
}
