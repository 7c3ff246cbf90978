/** Calls of one authenticator that may be under way. */
const MAX_IN_FLIGHT = 1024

export type CallAnswer = { readonly status: number; readonly headers: { get(name: string): string | null }; readonly body: string }

/** Why there is no answer: a few words without anything of the request. */
export type CallProblem = { readonly problem: string }

export type CallRequest = {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** For all of it, the body included. */
  readonly timeoutMs: number
  /** A longer body is a problem; 0: the body is not read. */
  readonly maxBytes: number
}

/** Asks services that decide who may call: bounded in number, time and size, never redirected. */
export class HttpCaller {
  readonly #maxInFlight: number
  #inFlight = 0

  constructor(maxInFlight = MAX_IN_FLIGHT) {
    this.#maxInFlight = maxInFlight
  }

  async call({ url, method, headers, body, timeoutMs, maxBytes }: CallRequest): Promise<CallAnswer | CallProblem> {
    if (this.#inFlight >= this.#maxInFlight) return { problem: 'too many calls are under way' }
    this.#inFlight++
    const signal = AbortSignal.timeout(timeoutMs)
    try {
      const response = await fetch(url, { method, headers, body: body ?? null, signal, redirect: 'manual' })
      const text = await readBody(response, maxBytes)
      return text === null ? { problem: `the answer is longer than ${maxBytes} bytes` } : { status: response.status, headers: response.headers, body: text }
    } catch (cause) {
      if (signal.aborted) return { problem: `no answer within ${timeoutMs} ms` }
      const { code } = (cause as { cause?: { code?: unknown } }).cause ?? {}
      return { problem: typeof code === 'string' ? code : 'the call failed' }
    } finally {
      this.#inFlight--
    }
  }
}

async function readBody(response: Response, maxBytes: number): Promise<string | null> {
  if (response.body === null) return ''
  if (maxBytes === 0) {
    await response.body.cancel()
    return ''
  }
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    length += chunk.length
    // Leaving the loop cancels the rest.
    if (length > maxBytes) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
