import { isIP } from 'node:net'
import { normalisePath } from '../http/path.ts'

export type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'one'; readonly name: string }
  | { readonly kind: 'rest'; readonly name: string }

/** A path of the document; literals in the normal form that requests are compared in. */
export type PathPattern = { readonly segments: readonly Segment[]; readonly parameters: readonly string[] }

/** `suffix` of a wildcard: what stands behind the asterisk, with its dot. */
export type HostPattern =
  | { readonly kind: 'exact'; readonly name: string }
  | { readonly kind: 'wildcard'; readonly suffix: string }

export type PatternProblem = { readonly problem: string }

/** Reads `/a/b`, `{id}` for one segment, and `{rest+}` for the rest, which stands last. */
export function parsePathPattern(text: string): PathPattern | PatternProblem {
  if (!text.startsWith('/')) return { problem: 'does not start with \'/\': put one in front' }
  const found = /[?#]/.exec(text)
  if (found) return { problem: `'${found[0]}' can't stand in a path: query conditions go into match.query` }
  const parts = text.slice(1).split('/')
  const segments: Segment[] = []
  const parameters: string[] = []
  for (const [index, part] of parts.entries()) {
    if (!/[{}]/.test(part)) {
      const normal = normalisePath(`/${part}`)
      if (part === '.' || part === '..' || normal === '/.' || normal === '/..' || /^(?:\.|%2e){1,2}$/i.test(part)) {
        return { problem: `segment '${part}' is a dot segment, which no normalised path has: remove it` }
      }
      if (normal === null) return { problem: `segment '${part}' has a malformed escape or a character that can't stand in a path: percent-encode it` }
      segments.push({ kind: 'literal', text: normal.slice(1) })
      continue
    }
    const parameter = /^\{([A-Za-z_][\w-]*)(\+?)\}$/.exec(part)
    if (parameter === null) return { problem: `segment '${part}' is not a parameter: write {name} or {name+} as a whole segment` }
    const [, name = '', plus] = parameter
    if (parameters.includes(name)) return { problem: `parameter '${name}' stands twice: choose two names` }
    if (plus === '+' && index !== parts.length - 1) return { problem: `'{${name}+}' takes the rest of the path: put it last` }
    parameters.push(name)
    segments.push({ kind: plus === '+' ? 'rest' : 'one', name })
  }
  return { segments, parameters }
}

/** Reads `api.example.com`, an IP literal, or `*.example.com` (one label or more). */
export function parseHostPattern(text: string): HostPattern | PatternProblem {
  const host = text.toLowerCase()
  const isWildcard = host.startsWith('*.')
  const name = (isWildcard ? host.slice(2) : host).replace(/\.$/, '')
  if (name.includes('*')) return { problem: 'an asterisk stands only as the first label: write *.example.com' }
  if (!isWildcard && isIP(name.replace(/^\[(.*)\]$/, '$1')) === 6) return { kind: 'exact', name: name.startsWith('[') ? name : `[${name}]` }
  if (/:\d*$/.test(name)) return { problem: 'has a port: write the host alone' }
  if (!/^(?:[a-z0-9_-]{1,63})(?:\.[a-z0-9_-]{1,63})*$/.test(name)) return { problem: 'is not a host name: write for example api.example.com or *.example.com' }
  return isWildcard ? { kind: 'wildcard', suffix: `.${name}` } : { kind: 'exact', name }
}
