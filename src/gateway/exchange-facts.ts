import { nowMs } from '../base/clock.ts'
import type { Failure } from '../base/failure.ts'
import { TimerEntry } from '../base/timer-wheel.ts'
import { Headers } from '../http/headers.ts'
import type { HeadLines, RequestHead, ResponseHead } from '../http/message.ts'
import type { Identity, PolicyExchange } from '../policies/policy.ts'
import type { Peer } from './peers.ts'
import { keyOf } from './request-key.ts'
import type { CompiledRoute, Runtime } from './runtime.ts'

/** What is known of an exchange, and what policies may ask and change; its life is in handle.ts. */
export abstract class ExchangeFacts extends TimerEntry implements PolicyExchange {
  readonly runtime: Runtime
  readonly isTls: boolean
  readonly startMs = nowMs()
  request!: RequestHead
  requestId = ''
  clientIp = ''
  upstreamPath = ''
  peer: Peer | null = null
  route: CompiledRoute | null = null
  identity: Identity | null = null
  headMs: number | null = null
  status = 0
  failure: Failure | null = null
  loggedHeaders: Readonly<Record<string, string>> | null = null
  giveUpAtMs = 0
  protected parameterNames: readonly string[] = []
  protected parameterValues: readonly string[] = []
  #added: Headers | null = null
  #finishers: (() => void)[] | null = null

  constructor(runtime: Runtime, isTls: boolean) {
    super()
    this.runtime = runtime
    this.isTls = isTls
  }

  get routeId(): string {
    return this.route?.id ?? ''
  }

  /** As a BalanceRequest. */
  keyValue(key: string): string | undefined {
    return keyOf(key)(this)
  }

  parameter(name: string): string | undefined {
    const index = this.parameterNames.indexOf(name)
    return index < 0 ? undefined : this.parameterValues[index]
  }

  addResponseHeader(name: string, value: string): void {
    this.#added ??= new Headers()
    this.#added.add(name, value)
  }

  whenFinished(run: () => void): void {
    this.#finishers ??= []
    this.#finishers.push(run)
  }

  /** `head` with the lines that policies have added. */
  protected withAdded(head: ResponseHead): ResponseHead {
    return this.#added === null ? head : { ...head, lines: both(head.lines, this.#added) }
  }

  /** Answers what was thrown, which must not keep the others from their turn. */
  protected runFinishers(): readonly unknown[] {
    if (this.#finishers === null) return NONE
    const faults: unknown[] = []
    for (const run of this.#finishers) {
      try {
        run()
      } catch (cause) {
        faults.push(cause)
      }
    }
    this.#finishers = null
    return faults
  }
}

const NONE: readonly unknown[] = []

function both(lines: HeadLines, added: Headers): HeadLines {
  return {
    toText: () => {
      const text = lines.toText()
      return text === null ? null : text + added.toText()
    },
    writeTo: write => {
      lines.writeTo(write)
      added.writeTo(write)
    },
  }
}
