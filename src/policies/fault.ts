import { STATUS_CODES } from 'node:http'
import type { RouteConfig } from '../config/schema.ts'
import { Headers } from '../http/headers.ts'
import type { Answer, Policy, PolicyExchange, PolicySpec, Verdict } from './policy.ts'

export type FaultConfig = NonNullable<RouteConfig['fault']>

/** Of one worker: a delay on a busy route must not fill its memory with what waits. */
const MAX_WAITING = 10_000
/** Statuses of answers that have no body (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5). */
const BODILESS = new Set([204, 205, 304])

/** Requests that are held up, at most `maxWaiting` of them. */
export class Delays {
  readonly #maxWaiting: number
  readonly #startTimer: (ms: number, run: () => void) => void
  #waiting = 0

  constructor(maxWaiting: number, startTimer: (ms: number, run: () => void) => void) {
    this.#maxWaiting = maxWaiting
    this.#startTimer = startTimer
  }

  /** `verdict` after `ms`; at once when too many wait already. A client that leaves meanwhile gives its place back at the end. */
  hold(ms: number, verdict: Verdict): Verdict | Promise<Verdict> {
    if (this.#waiting >= this.#maxWaiting) return verdict
    this.#waiting++
    return new Promise(resolve => {
      this.#startTimer(ms, () => {
        this.#waiting--
        resolve(verdict)
      })
    })
  }
}

// A drained worker ends by itself: what is still held up then must not keep it.
const ofThisWorker = new Delays(MAX_WAITING, (ms, run) => { setTimeout(run, ms).unref() })

/**
 * Injects faults, to see how clients bear them: holds a share of the requests up, answers a share with a status, or one
 * after the other. Both shares are drawn by themselves, so a request can meet both. Stands behind all that could answer
 * (a fault stands for one of the upstream) and before the request is changed for it.
 *
 * The answer is a problem with the code GW_FAULT_INJECTED. It is no failure of the table in base/failure.ts: there a
 * code has one status, while this one has what the route says.
 */
export const fault: PolicySpec = {
  name: 'fault',
  create: ({ fault }) => {
    if (fault === undefined || (fault.delay === null && fault.abort === null)) return null
    return new Fault(fault, { random: Math.random, delays: ofThisWorker })
  },
}

export class Fault implements Policy {
  readonly #header: string | null
  readonly #delay: FaultConfig['delay']
  readonly #abortRatio: number
  readonly #answer: Answer | null
  readonly #random: () => number
  readonly #delays: Delays

  /** `random`: 0 to below 1. */
  constructor(config: FaultConfig, deps: { readonly random: () => number; readonly delays: Delays }) {
    this.#header = config.header
    this.#delay = config.delay
    this.#abortRatio = config.abort?.ratio ?? 0
    this.#answer = config.abort === null ? null : answerWith(config.abort.status)
    this.#random = deps.random
    this.#delays = deps.delays
  }

  onRequest(exchange: PolicyExchange): Verdict | Promise<Verdict> {
    if (this.#header !== null && exchange.request.headers.get(this.#header) === undefined) return null
    const isDelayed = this.#delay !== null && this.#random() < this.#delay.ratio
    const verdict = this.#answer !== null && this.#random() < this.#abortRatio ? this.#answer : null
    return isDelayed ? this.#delays.hold(this.#delay!.ms, verdict) : verdict
  }
}

function answerWith(status: number): Answer {
  const headers = new Headers()
  if (BODILESS.has(status)) return { status, headers, body: new Uint8Array(0) }
  headers.add('content-type', 'application/problem+json')
  const problem = { type: 'about:blank', title: STATUS_CODES[status], status, code: 'GW_FAULT_INJECTED' }
  return { status, headers, body: Buffer.from(JSON.stringify(problem)) }
}
