import type { Clock } from './clock.ts'

const SLOTS = 512

/**
 * What a wheel can hold: a link in one of its lists. Extended by the objects that time out, so that arming a timer
 * allocates nothing. An entry is in one wheel at a time.
 */
export abstract class TimerEntry {
  previous: TimerEntry | null = null
  next: TimerEntry | null = null
  /** On the wheel's clock, in milliseconds. */
  deadlineMs = 0
  get isArmed(): boolean {
    return this.next !== null
  }

  /** Called once per arming, late by at most a tick and a loop turn. */
  abstract onTimeout(): void
}

class ListHead extends TimerEntry {
  override onTimeout(): void {}
}

/**
 * Timeouts for many exchanges at the cost of one timer: arming and disarming are O(1) and allocate nothing.
 * Never early; late by up to `tickMs`. Deadlines beyond one turn of the wheel are looked at once a turn.
 */
export class TimerWheel {
  readonly tickMs: number
  readonly #clock: Clock
  readonly #slots: readonly ListHead[]
  #tick: number
  #nowMs: number
  #interval: NodeJS.Timeout | null = null

  constructor(clock: Clock, tickMs = 50) {
    this.tickMs = tickMs
    this.#clock = clock
    this.#slots = Array.from({ length: SLOTS }, () => {
      const head = new ListHead()
      head.next = head
      head.previous = head
      return head
    })
    this.#nowMs = clock.nowMs()
    this.#tick = Math.floor(this.#nowMs / tickMs)
  }

  /** Time as of the last tick: cheap, and good enough where a tick does not matter. */
  get coarseNowMs(): number {
    return this.#nowMs
  }

  start(): void {
    this.#interval ??= setInterval(() => this.advance(), this.tickMs)
    this.#interval.unref()
  }

  stop(): void {
    if (this.#interval) clearInterval(this.#interval)
    this.#interval = null
  }

  /** Arms `entry`, or moves it if it is armed. */
  schedule(entry: TimerEntry, deadlineMs: number): void {
    unlink(entry)
    entry.deadlineMs = deadlineMs
    // The slot of a deadline is visited at the first tick at or after it; one in the past goes into the next.
    const tick = Math.max(Math.ceil(deadlineMs / this.tickMs), this.#tick + 1)
    const head = this.#slots[tick & (SLOTS - 1)]!
    const last = head.previous!
    last.next = entry
    entry.previous = last
    entry.next = head
    head.previous = entry
  }

  /** Arms `entry` to fire after `delayMs`. Counted from the last tick plus one, so that it is never early. */
  scheduleIn(entry: TimerEntry, delayMs: number): void {
    this.schedule(entry, this.#nowMs + this.tickMs + delayMs)
  }

  cancel(entry: TimerEntry): void {
    unlink(entry)
  }

  /** Fires what is due. Called by the interval; tests call it with their own clock. */
  advance(): void {
    this.#nowMs = this.#clock.nowMs()
    const target = Math.floor(this.#nowMs / this.tickMs)
    // After a long stall one turn visits every slot; more would visit them twice.
    if (target - this.#tick > SLOTS) this.#tick = target - SLOTS
    while (this.#tick < target) {
      this.#tick += 1
      this.#visit(this.#slots[this.#tick & (SLOTS - 1)]!)
    }
  }

  #visit(head: ListHead): void {
    // Detached first: a handler may arm entries again, also into this very slot.
    let entry = head.next!
    if (entry === head) return
    head.previous!.next = null
    head.next = head
    head.previous = head
    const pending: TimerEntry = new ListHead()
    pending.next = entry
    entry.previous = pending
    while (pending.next) {
      entry = pending.next
      unlink(entry)
      if (entry.deadlineMs > this.#nowMs) this.schedule(entry, entry.deadlineMs)
      else entry.onTimeout()
    }
  }
}

function unlink(entry: TimerEntry): void {
  if (entry.previous) entry.previous.next = entry.next
  if (entry.next) entry.next.previous = entry.previous
  entry.previous = null
  entry.next = null
}
