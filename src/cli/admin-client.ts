import { InvalidArgumentError } from 'commander'

const DEFAULT_ADDRESS = '127.0.0.1:9000'
const TIMEOUT_MS = 15_000

export type AdminOptions = { readonly address?: string | undefined; readonly token?: string | undefined }

type Problem = { readonly code?: string; readonly detail?: string }

/** The admin API said no; `code` as its description has it. */
export class AdminRefusal extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'AdminRefusal'
    this.code = code
  }
}

/** Asks the admin API of a gateway. Failures: Error with a remedy; AdminRefusal. The token stands in no message. */
export class AdminClient {
  readonly #base: string
  readonly #token: string | null

  /** What the options leave out comes from PENSTOCK_ADMIN and PENSTOCK_ADMIN_TOKEN. Throws InvalidArgumentError. */
  constructor({ address, token }: AdminOptions, environment: NodeJS.ProcessEnv) {
    this.#base = baseOf(address ?? (environment['PENSTOCK_ADMIN'] || DEFAULT_ADDRESS))
    this.#token = token ?? (environment['PENSTOCK_ADMIN_TOKEN'] || null)
    if (this.#token !== null && !/^[\x21-\x7e]+$/.test(this.#token)) {
      throw new InvalidArgumentError('the token may hold visible ASCII without spaces only: see admin.token of the document')
    }
  }

  async ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, body: object | null = null): Promise<T> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (this.#token !== null) headers['authorization'] = `Bearer ${this.#token}`
    if (body !== null) headers['content-type'] = 'application/json'
    let response: Response
    let text: string
    try {
      response = await fetch(this.#base + path, {
        method, headers, body: body === null ? null : JSON.stringify(body),
        // The token goes to no other place than the one that was named.
        redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      text = await response.text()
    } catch (cause) {
      throw new Error(this.#unreachable(cause as Error))
    }
    if (response.ok) return this.#parse<T>(text)
    throw this.#refusal(response.status, text)
  }

  #parse<T>(text: string): T {
    try {
      return JSON.parse(text) as T
    } catch {
      throw new Error(`what answers at ${this.#base} is not the admin API of Penstock: is the address right?`)
    }
  }

  #refusal(status: number, text: string): AdminRefusal {
    const { code, detail } = problemIn(text)
    if (code === undefined || !code.startsWith('ADMIN_')) {
      return new AdminRefusal('', `what answers at ${this.#base} is not the admin API of Penstock (status ${status}): is the address right?`)
    }
    if (code !== 'ADMIN_UNAUTHORIZED') return new AdminRefusal(code, detail ?? code)
    const remedy = 'set PENSTOCK_ADMIN_TOKEN to admin.token of its document'
    return new AdminRefusal(code, this.#token === null ? `the gateway at ${this.#base} wants a token: ${remedy}` : `the gateway at ${this.#base} does not take this token: ${remedy}`)
  }

  #unreachable({ name, cause }: Error): string {
    const { code, message } = (cause ?? {}) as NodeJS.ErrnoException
    const elsewhere = 'name another address with --address or PENSTOCK_ADMIN'
    if (name === 'TimeoutError') return `${this.#base} did not answer within ${TIMEOUT_MS / 1000} s`
    if (code === 'ECONNREFUSED') return `nothing listens at ${this.#base}: start the gateway with 'admin' in its document, or ${elsewhere}`
    return `can't reach the admin API at ${this.#base} (${code ?? message ?? name}): ${elsewhere}`
  }
}

function baseOf(address: string): string {
  const text = /^https?:\/\//.test(address) ? address : `http://${address}`
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username + url.password !== '') {
    throw new InvalidArgumentError('the address of the admin API is host:port, for example 127.0.0.1:9000')
  }
  return url.origin
}

function problemIn(text: string): Problem {
  try {
    return (JSON.parse(text) ?? {}) as Problem
  } catch {
    return {}
  }
}
