import { z } from 'zod'
import { problemOfEndpoint } from './address.ts'
import { issueFindings } from './issue-findings.ts'
import { pointerOf } from './pointer.ts'
import { endpoint } from './schema-upstream.ts'

const MAX_ENTRIES = 10_000

/** An entry with its defaults; `url` is scheme, host and port in the form that the URL standard gives them. */
export type ListedEndpoint = { readonly url: string; readonly weight: number; readonly priority: number; readonly zone: string | null }

export type EndpointList =
  | { readonly endpoints: readonly ListedEndpoint[] }
  /** Each with a JSON pointer to the entry and what to do, in order; never empty. */
  | { readonly problems: readonly string[] }

/** The list where it would stand in a document: so the findings about it have the words of the document's. */
const PLACE = ['upstreams', 'discovered', 'endpoints'] as const
const schema = z.object({ upstreams: z.object({ discovered: z.object({ endpoints: z.array(endpoint) }) }) })

/**
 * Reads a JSON list of endpoints that was found outside of the document, with the rules that `endpoints` has inside; an
 * empty list is one. At most 10,000 entries, no URL twice. No problem quotes a value: it may hold a password.
 */
export function parseEndpointList(text: string): EndpointList {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { problems: ['is not JSON: write a list as ["http://10.0.0.1:3000"]'] }
  }
  // Before the schema, which would look at every entry first.
  if (Array.isArray(value) && value.length > MAX_ENTRIES) {
    return { problems: [`has ${value.length} entries: at most ${MAX_ENTRIES} are taken`] }
  }
  const root = { upstreams: { discovered: { endpoints: value } } }
  const result = schema.safeParse(root)
  if (!result.success) {
    return { problems: issueFindings(result.error.issues, root).map(({ path, message }) => problemAt(path.slice(PLACE.length), message)) }
  }
  return checkUrls(result.data.upstreams.discovered.endpoints)
}

function checkUrls(entries: readonly z.output<typeof endpoint>[]): EndpointList {
  const endpoints: ListedEndpoint[] = []
  const problems: string[] = []
  const firsts = new Map<string, number>()
  entries.forEach((entry, index) => {
    const path = typeof entry === 'string' ? [index] : [index, 'url']
    const { url, weight, priority, zone } = typeof entry === 'string' ? { url: entry, weight: 1, priority: 0, zone: null } : entry
    const problem = problemOfEndpoint(url)
    if (problem !== null) {
      problems.push(problemAt(path, problem))
      return
    }
    const { origin } = new URL(url)
    const first = firsts.get(origin)
    if (first !== undefined) {
      problems.push(problemAt(path, `is the endpoint of /${first} already: keep one`))
      return
    }
    firsts.set(origin, index)
    endpoints.push({ url: origin, weight, priority, zone })
  })
  return problems.length > 0 ? { problems } : { endpoints }
}

function problemAt(path: readonly (string | number)[], message: string): string {
  return path.length === 0 ? message : `${pointerOf(path)}: ${message}`
}
