import type { UpstreamConfig } from '../config/schema.ts'
import type { Candidate } from './balancer.ts'
import type { Endpoint } from './endpoint.ts'

export type SetOptions = Pick<UpstreamConfig, 'panicRatio' | 'slowStartMs'> & {
  /** Of this gateway; null: unknown. */
  readonly zone: string | null
}

export type Choice = {
  readonly candidates: readonly Candidate[]
  /** Health is being ignored, since too few are healthy. */
  readonly isPanic: boolean
  /** When this choice is out of date by itself: an ejection ends, a slow start goes on; Infinity: never. */
  readonly validUntilMs: number
}

/** Steps in which an endpoint that has come back gets its share. */
const SLOW_START_STEPS = 10

/**
 * Which endpoints may be chosen now, with which weights. The first group (by priority) in which enough are healthy; of
 * it those of the own zone, when enough of them are; where no group has enough, the first one whole, sick or not: the
 * few that are left would be crushed, and probes may be wrong. Source: Envoy's priority levels and panic threshold.
 */
export function chooseCandidates(endpoints: readonly Endpoint[], options: SetOptions, nowMs: number): Choice {
  const groups = groupsOf(endpoints)
  for (const group of groups) {
    const healthy = group.filter(endpoint => endpoint.isAvailable(nowMs))
    if (healthy.length === 0 || healthy.length / group.length < options.panicRatio) continue
    return choiceOf(ofZone(group, healthy, options), false, endpoints, options, nowMs)
  }
  // None has enough: any healthy backup is better than ignoring health in front of it.
  const anyHealthy = groups.slice(1).map(group => group.filter(endpoint => endpoint.isAvailable(nowMs))).find(healthy => healthy.length > 0)
  return choiceOf(anyHealthy ?? groups[0] ?? [], anyHealthy === undefined && groups.length > 0, endpoints, options, nowMs)
}

function groupsOf(endpoints: readonly Endpoint[]): Endpoint[][] {
  const byPriority = new Map<number, Endpoint[]>()
  for (const endpoint of endpoints) {
    const group = byPriority.get(endpoint.address.priority)
    if (group === undefined) byPriority.set(endpoint.address.priority, [endpoint])
    else group.push(endpoint)
  }
  return [...byPriority].sort(([left], [right]) => left - right).map(([, group]) => group)
}

function ofZone(group: readonly Endpoint[], healthy: readonly Endpoint[], { zone, panicRatio }: SetOptions): readonly Endpoint[] {
  if (zone === null) return healthy
  const all = group.filter(endpoint => endpoint.address.zone === zone)
  const near = healthy.filter(endpoint => endpoint.address.zone === zone)
  return near.length > 0 && near.length / all.length >= panicRatio ? near : healthy
}

function choiceOf(chosen: readonly Endpoint[], isPanic: boolean, all: readonly Endpoint[], { slowStartMs }: SetOptions, nowMs: number): Choice {
  let validUntilMs = Infinity
  for (const { ejectedUntilMs } of all) if (ejectedUntilMs > nowMs) validUntilMs = Math.min(validUntilMs, ejectedUntilMs)
  const candidates = chosen.map(endpoint => {
    const sinceMs = nowMs - endpoint.recoveredAtMs
    if (isPanic || sinceMs >= slowStartMs) return { endpoint, weight: endpoint.address.weight }
    validUntilMs = Math.min(validUntilMs, nowMs + slowStartMs / SLOW_START_STEPS)
    const step = Math.floor(sinceMs / slowStartMs * SLOW_START_STEPS) + 1
    return { endpoint, weight: endpoint.address.weight * step / SLOW_START_STEPS }
  })
  return { candidates, isPanic, validUntilMs }
}
