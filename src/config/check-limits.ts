import { isTakenOut } from './check-headers.ts'
import type { FindingList } from './finding-list.ts'
import type { Path } from './pointer.ts'
import type { RouteConfig } from './schema.ts'

/** A bucket that takes longer to fill is a quota in disguise, and would be forgotten at a restart. */
const MAX_FILL_SECONDS = 30 * 86_400

/** What the numbers of the limits of a route mean together. */
export function checkLimits({ limits }: RouteConfig, index: number, list: FindingList): void {
  const firsts = new Map<string, number>()
  limits?.forEach(({ name, requestsPerSecond, burstRequests, cost, key, onStoreFailure, maxNodes }, at) => {
    const place = ['routes', index, 'limits', at]
    const first = firsts.get(name)
    if (first === undefined) firsts.set(name, at)
    else list.add([...place, 'name'], `name ${list.quote([...place, 'name'], name)} is taken by /routes/${index}/limits/${first}: choose another`)
    if (cost > burstRequests) list.add([...place, 'cost'], 'is more than burstRequests, so that no request would pass: lower it, or raise burstRequests')
    if (burstRequests / requestsPerSecond > MAX_FILL_SECONDS) list.add([...place, 'requestsPerSecond'], 'would take more than 30 days to fill the burst: raise it, or lower burstRequests')
    if (maxNodes > 1 && onStoreFailure !== 'local') list.add([...place, 'maxNodes'], 'has no effect without onStoreFailure: local: remove it', 'key')
    checkKey(key, [...place, 'key'], list)
  })
}

export function checkMaxConcurrent({ maxConcurrent }: RouteConfig, index: number, list: FindingList): void {
  if (maxConcurrent !== undefined) checkKey(maxConcurrent.key, ['routes', index, 'maxConcurrent', 'key'], list)
}

/** Without its header a key is the client's address; of a header that is never there it would always be. */
function checkKey(key: string, path: Path, list: FindingList): void {
  const name = key.startsWith('header:') ? key.slice(7).toLowerCase() : 'host'
  if (name !== 'host' && isTakenOut(name)) list.add(path, `${list.quote(path, key)} is always absent: the gateway takes this header out of the request`)
}
