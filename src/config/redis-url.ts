import type { Problem } from './address.ts'

/** What a URL says of a Redis; the host of an IPv6 address without its brackets. */
export type RedisUrl = {
  readonly host: string
  readonly port: number
  readonly database: number
  /** null: the default user. */
  readonly username: string | null
  readonly password: string | null
  readonly isTls: boolean
}

const DEFAULT_PORT = 6379

/** Reads `redis://user:password@host:port/database`. The problem never repeats the text, which may hold a password. */
export function parseRedisUrl(text: string): RedisUrl | Problem {
  const example = 'write for example redis://127.0.0.1:6379/0'
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//.exec(text)?.[1]?.toLowerCase()
  if (scheme === undefined) return { problem: `is not a URL: ${example}` }
  if (scheme !== 'redis' && scheme !== 'rediss') return { problem: `scheme '${scheme}' is not served: redis or rediss` }
  if (/[\s\\]/.test(text)) return { problem: 'holds a space or a backslash: escape it with a percent sign' }
  if (!URL.canParse(text)) return { problem: `is not a URL: ${example}` }
  const url = new URL(text)
  if (url.hostname === '') return { problem: `the host is missing: ${example}` }
  if (url.port === '0') return { problem: 'port 0 can\'t be connected to' }
  if (url.search !== '' || url.hash !== '') return { problem: 'holds a query or a fragment: write what it says as keys of redis' }
  const database = /^\/?(\d{0,4})$/.exec(url.pathname)?.[1]
  if (database === undefined) return { problem: 'the path is the number of a database: write for example /0' }
  const username = decode(url.username)
  const password = decode(url.password)
  if (username === null || password === null) return { problem: 'user or password is not percent-encoded as it should be: write %25 for %' }
  return {
    host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? DEFAULT_PORT : Number(url.port), database: Number(database),
    username: username === '' ? null : username, password: password === '' ? null : password, isTls: scheme === 'rediss',
  }
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
