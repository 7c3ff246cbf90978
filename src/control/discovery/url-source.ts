import { listedEndpoints, MAX_LIST_BYTES, tooLarge } from './listed-endpoints.ts'
import { type Lookup, LookupError } from './lookup-loop.ts'

/**
 * A URL that answers GET with a JSON list of endpoints, asked every `intervalMs`; when the last good answer had an ETag,
 * with If-None-Match. Redirects are not followed: where endpoints come from is decided by the document alone. The time
 * limit covers the body, its bound (4 MiB) what it unpacks to.
 * Source: RFC 9110 sections 13.1.2 and 15.4.5 (304 stands for the answer that had this ETag).
 */
export function createUrlLookup(url: string, { intervalMs }: { readonly intervalMs: number }): Lookup {
  // Of the last list that was taken; a refused one is asked for again in full.
  let etag: string | null = null
  return async signal => {
    const response = await get(url, etag, signal)
    if (response.status === 304 && etag !== null) {
      await response.body?.cancel()
      return { endpoints: null, nextMs: intervalMs, problem: null }
    }
    if (response.status !== 200) {
      await response.body?.cancel()
      throw new LookupError(`answered ${response.status}${response.headers.has('location') ? ': redirects are not followed' : ', not 200'}`)
    }
    const endpoints = await listedEndpoints(await readBody(response))
    etag = response.headers.get('etag')
    return { endpoints, nextMs: intervalMs, problem: null }
  }
}

async function get(url: string, etag: string | null, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { accept: 'application/json' }
  if (etag !== null) headers['if-none-match'] = etag
  try {
    return await fetch(url, { headers, redirect: 'manual', signal })
  } catch (cause) {
    throw connectionProblem(cause)
  }
}

/** LookupError when it is too large or is cut off. */
async function readBody({ body }: Response): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let size = 0
  try {
    // Leaving the loop cancels the body, and with it the connection.
    for await (const piece of body ?? []) {
      size += piece.length
      if (size > MAX_LIST_BYTES) throw tooLarge()
      pieces.push(piece)
    }
  } catch (cause) {
    throw cause instanceof LookupError ? cause : connectionProblem(cause)
  }
  return Buffer.concat(pieces, size)
}

/** Without the message of fetch, which may quote the URL with a password or a token in it. */
function connectionProblem(cause: unknown): LookupError {
  const inner = (cause as Error).cause as NodeJS.ErrnoException | undefined
  return new LookupError(`the URL can't be asked${inner?.code === undefined ? '' : ` (${inner.code})`}`)
}
