import { parseAddress } from './address.ts'
import type { FindingList } from './finding-list.ts'
import type { PemFiles } from './pem-files.ts'
import { parseRedisUrl } from './redis-url.ts'
import type { RedisConfig } from './schema-redis.ts'

const SOURCES = ['url', 'cluster', 'sentinel'] as const

/** Where Redis is, and how to get in. */
export function checkRedis(config: RedisConfig, list: FindingList, files: PemFiles): void {
  const named = SOURCES.filter(source => config[source] !== undefined)
  if (named.length === 0) list.add(['redis'], 'has no server: add one of url, cluster, sentinel', 'key')
  else if (named.length > 1) list.add(['redis'], `has ${named.length} kinds of server, ${named.join(' and ')}: keep one`, 'key')

  if (config.url !== undefined) checkUrl(config, config.url, list)
  if (config.cluster !== undefined) checkNodes(config.cluster, ['redis', 'cluster'], list)
  if (config.sentinel !== undefined) {
    const { nodes, username, password } = config.sentinel
    checkNodes(nodes, ['redis', 'sentinel', 'nodes'], list)
    if (username !== null && password === null) list.add(['redis', 'sentinel', 'username'], '\'username\' needs \'password\' beside it')
  }
  const inUrl = config.url === undefined ? null : parseRedisUrl(config.url)
  if (config.username !== null && config.password === null && !(inUrl !== null && 'password' in inUrl && inUrl.password !== null)) {
    list.add(['redis', 'username'], '\'username\' needs \'password\' beside it')
  }

  const { tls } = config
  if (tls === null) return
  const path = ['redis', 'tls']
  if (tls.ca !== null) files.certificate(tls.ca, [...path, 'ca'])
  if (tls.cert !== null && tls.key !== null) files.pair(tls.cert, tls.key, path)
  else if (tls.cert !== null) list.add([...path, 'cert'], '\'cert\' needs \'key\' beside it')
  else if (tls.key !== null) list.add([...path, 'key'], '\'key\' needs \'cert\' beside it')
}

function checkUrl(config: RedisConfig, text: string, list: FindingList): void {
  const path = ['redis', 'url']
  const url = parseRedisUrl(text)
  if ('problem' in url) {
    list.add(path, `${list.quote(path, redactUrl(text))}: ${url.problem}`)
    return
  }
  if (config.tls !== null && !url.isTls) list.add(path, 'is a plain redis:// URL beside \'tls\': write rediss://, or remove \'tls\'')
  if (config.username !== null && url.username !== null) list.add(path, 'names a user, and so does \'username\': keep one')
  if (config.password !== null && url.password !== null) list.add(path, 'holds a password, and so does \'password\': keep one')
}

function checkNodes(nodes: readonly string[], place: readonly string[], list: FindingList): void {
  const firsts = new Map<string, number>()
  nodes.forEach((node, index) => {
    const path = [...place, index]
    const address = parseAddress(node)
    const first = firsts.get(node)
    if ('problem' in address) list.add(path, `${list.quote(path, redactUrl(node))}: ${address.problem}`)
    else if (address.port === 0) list.add(path, `${list.quote(path, node)}: port 0 can't be connected to`)
    else if (first !== undefined) list.add(path, `${list.quote(path, node)} is the same as entry ${first}: keep one`)
    else firsts.set(node, index)
  })
}

/** A password is a secret even where it is not a variable. Up to the last at sign: an unescaped one may be part of it. */
function redactUrl(text: string): string {
  return text.replace(/^(?:.*\/\/)?.*@/s, whole => `${/^.*?\/\//.exec(whole)?.[0] ?? ''}[redacted]@`)
}
