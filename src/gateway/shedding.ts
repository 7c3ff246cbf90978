import type { RouteConfig } from '../config/schema.ts'

/** How much too much there is to do: 0 nothing is shed, 1 low, 2 low and normal, 3 all but critical. */
export type LoadLevel = 0 | 1 | 2 | 3

/** What a worker knows of its load. */
export interface LoadSource {
  readonly level: LoadLevel
}

/** The priorities of routes as numbers: a route is shed while the level is above its own. */
export const PRIORITY_RANKS: Readonly<Record<RouteConfig['priority'], number>> = { low: 0, normal: 1, high: 2, critical: 3 }

/** `rank`: of PRIORITY_RANKS. */
export function isShed(rank: number, level: LoadLevel): boolean {
  return rank < level
}
