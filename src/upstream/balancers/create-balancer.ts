import type { BalanceConfig, Balancer, BalancerDeps, Candidate } from '../balancer.ts'
import { LeastRequests } from './least-requests.ts'
import { Maglev } from './maglev.ts'
import { PeakEwmaBalancer } from './peak-ewma.ts'
import { RoundRobin } from './round-robin.ts'
import { Sticky } from './sticky.ts'

type Constructor = new (candidates: readonly Candidate[], deps: BalancerDeps) => Balancer

/** One explicit list: name to constructor. */
const BALANCERS: Record<Extract<BalanceConfig, string>, Constructor> = {
  'peak-ewma': PeakEwmaBalancer,
  'least-requests': LeastRequests,
  'round-robin': RoundRobin,
}

/** At least one candidate. Takes a millisecond or two for `hash`, microseconds for the others. */
export function createBalancer(config: BalanceConfig, candidates: readonly Candidate[], deps: BalancerDeps): Balancer {
  if (typeof config === 'string') return new BALANCERS[config](candidates, deps)
  if ('hash' in config) return new Maglev(config.hash, candidates, deps)
  return new Sticky(config.sticky, candidates, deps)
}
