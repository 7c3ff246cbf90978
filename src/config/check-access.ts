import { parseCidr } from './address.ts'
import { notDefined } from './check-identity.ts'
import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import type { RouteConfig } from './schema.ts'

/** Whom a route lets in: `auth` and `ip`. */
export function checkAccess(route: RouteConfig, index: number, authenticators: Checkable['authenticators'], list: FindingList): void {
  const place = ['routes', index]
  if (route.auth !== undefined) {
    const { anyOf, allOf } = route.auth
    if (anyOf === undefined && allOf === undefined) list.add([...place, 'auth'], 'admits nobody in particular: add \'anyOf\' or \'allOf\'')
    for (const [kind, names] of [['anyOf', anyOf], ['allOf', allOf]] as const) {
      names?.forEach((name, at) => {
        const path = [...place, 'auth', kind, at]
        if (!authenticators.has(name)) notDefined('authenticator', name, authenticators.keys(), path, list)
        else if (names.indexOf(name) !== at || (kind === 'allOf' && anyOf?.includes(name))) list.add(path, `authenticator ${list.quote(path, name)} is there already: remove it`)
      })
    }
  }
  if (route.ip === undefined) return
  for (const kind of ['allow', 'deny'] as const) {
    route.ip[kind].forEach((range, at) => {
      const path = [...place, 'ip', kind, at]
      const parsed = parseCidr(range)
      if ('problem' in parsed) list.add(path, `${list.quote(path, range)}: ${parsed.problem}`)
    })
  }
  if (route.ip.allow.length + route.ip.deny.length === 0) list.add([...place, 'ip'], 'has no effect: add \'allow\' or \'deny\'')
}
