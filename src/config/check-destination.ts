import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import { nearest, quoteList } from './nearest.ts'
import type { Path } from './pointer.ts'
import type { RouteConfig } from './schema.ts'

const DESTINATIONS = ['upstream', 'split', 'mock'] as const

/** Where a route leads, and what else it asks for on the way. `isUnsure`: a refused key may have been meant as its destination. */
export function checkDestination(route: RouteConfig, index: number, upstreams: Checkable['upstreams'], list: FindingList, isUnsure: boolean): void {
  const place = ['routes', index]
  const named = DESTINATIONS.filter(name => route[name] !== undefined)
  if (named.length > 1) list.add(place, `has ${named.length === 2 ? 'two' : 'three'} destinations, ${named.map(name => `'${name}'`).join(' and ')}: keep one`)
  else if (named.length === 0 && !isUnsure) list.add(place, 'has no destination: add \'upstream\', \'split\' or \'mock\'')

  if (route.upstream !== undefined) checkName(route.upstream, [...place, 'upstream'], upstreams, list)
  route.split?.forEach((part, at) => checkName(part.upstream, [...place, 'split', at, 'upstream'], upstreams, list))
  if (route.split !== undefined && route.split.every(part => part.weight === 0)) {
    list.add([...place, 'split'], 'has no weight above 0: nothing would be sent anywhere')
  }
  if (route.splitBy !== null && route.split === undefined) list.add([...place, 'splitBy'], 'has no effect without \'split\': remove it', 'key')
  if (route.mirror !== undefined) {
    checkName(route.mirror.upstream, [...place, 'mirror', 'upstream'], upstreams, list)
    if (route.mock !== undefined) list.add([...place, 'mirror'], 'copies requests that go to an upstream, and this route has a mock: remove it', 'key')
  }
  if (route.fault !== undefined && route.fault.abort === null && route.fault.delay === null) {
    list.add([...place, 'fault'], 'has no effect: add \'delay\' or \'abort\'')
  }
}

function checkName(name: string, path: Path, upstreams: Checkable['upstreams'], list: FindingList): void {
  if (upstreams.has(name)) return
  const names = [...upstreams.keys()]
  const like = list.hasVariable(path) ? null : nearest(name, names)
  const defined = names.length === 0 ? 'none is defined' : `defined: ${quoteList(names)}`
  list.add(path, `upstream ${list.quote(path, name)} is not defined; ${like === null ? '' : `did you mean '${like}'? `}${defined}`)
}
