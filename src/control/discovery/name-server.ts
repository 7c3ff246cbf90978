import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { parseAddress } from '../../config/address.ts'
import { LookupError } from './lookup-loop.ts'
import { OneAtATime } from './one-at-a-time.ts'

/** Whom to ask about names: one name server, or those of the system. */
export class NameServer {
  readonly isOfSystem: boolean
  readonly #address: { readonly host: string; readonly port: number } | null
  readonly #addressLookup = new OneAtATime<string>()

  /** `address`: `host:port`; null: the name servers of the system. Throws for anything else. */
  constructor(address: string | null) {
    this.isOfSystem = address === null
    const parsed = address === null ? null : parseAddress(address)
    if (parsed !== null && 'problem' in parsed) throw new Error(`resolver '${address}': ${parsed.problem}`)
    this.#address = parsed
  }

  /**
   * Runs `questions`, each of which may be asked twice; those without an answer after `budgetMs`, or when `signal` is
   * aborted, reject with ECANCELLED. A resolver of its own each time: it reads the system's settings when it is made,
   * and cancelling it cancels nobody else's questions.
   */
  async ask<T>(budgetMs: number, signal: AbortSignal, questions: (resolver: Resolver) => Promise<T>): Promise<T> {
    // The second try has twice the time of the first.
    const resolver = new Resolver({ timeout: Math.ceil(budgetMs / 3), tries: 2 })
    const server = await this.#server(signal)
    if (server !== null) resolver.setServers([server])
    signal.throwIfAborted()
    const cancel = (): void => resolver.cancel()
    const timer = setTimeout(cancel, budgetMs).unref()
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return await questions(resolver)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
    }
  }

  async #server(signal: AbortSignal): Promise<string | null> {
    if (this.#address === null) return null
    const { host, port } = this.#address
    const ip = isIP(host) !== 0 ? host : await this.#addressLookup.run(() => addressOf(host), signal)
    return isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`
  }
}

async function addressOf(host: string): Promise<string> {
  try {
    return (await lookup(host)).address
  } catch (cause) {
    throw new LookupError(`the name server ${problemOfName(host, codeOf(cause))}`)
  }
}

/** ENOTFOUND and the like; '' for what is no error of a look-up. */
export function codeOf(cause: unknown): string {
  return (cause as NodeJS.ErrnoException).code ?? ''
}

export function problemOfName(name: string, code: string): string {
  return `'${name}' was not resolved: ${TEXTS[code] ?? `the name server failed (${code})`}`
}

const SILENT = 'the name server did not answer in time'
const TEXTS: Readonly<Record<string, string>> = {
  ENOTFOUND: 'the name does not exist',
  ENODATA: 'the name has no such records',
  ETIMEOUT: SILENT,
  // Cut off by the time limit of the question.
  ECANCELLED: SILENT,
  ECONNREFUSED: 'the name server can\'t be reached',
}
