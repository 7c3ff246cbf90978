import t from 'tap'
import { TimerEntry, TimerWheel } from '../../src/base/timer-wheel.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'

class Probe extends TimerEntry {
  firedAtMs: number | null = null
  readonly #clock: ManualClock
  constructor(clock: ManualClock) {
    super()
    this.#clock = clock
  }

  override onTimeout(): void {
    this.firedAtMs = this.#clock.nowMs()
  }
}

t.test('fires never early and at most a tick late, near and far', async t => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 50)
  const random = new Random(1)
  const probes = Array.from({ length: 500 }, () => {
    const probe = new Probe(clock)
    const delayMs = random.below(120_000)
    wheel.schedule(probe, clock.nowMs() + delayMs)
    return { probe, deadlineMs: clock.nowMs() + delayMs }
  })
  for (let step = 0; step < 13_000; step++) {
    clock.advance(10)
    wheel.advance()
  }
  for (const { probe, deadlineMs } of probes) {
    t.ok(probe.firedAtMs !== null && probe.firedAtMs >= deadlineMs && probe.firedAtMs <= deadlineMs + 100)
  }
})

t.test('a cancelled entry does not fire; a moved one fires at its new time, once', async t => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 50)
  const cancelled = new Probe(clock)
  const moved = new Probe(clock)
  wheel.scheduleIn(cancelled, 100)
  wheel.scheduleIn(moved, 100)
  wheel.cancel(cancelled)
  wheel.scheduleIn(moved, 500)
  clock.advance(300)
  wheel.advance()
  t.equal(moved.firedAtMs, null)
  clock.advance(400)
  wheel.advance()
  t.equal(moved.firedAtMs, clock.nowMs())
  t.equal(cancelled.firedAtMs, null)
})

t.test('after a long stall everything that is due fires', async t => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 50)
  const probes = Array.from({ length: 100 }, (_, i) => {
    const probe = new Probe(clock)
    wheel.scheduleIn(probe, i * 1000)
    return probe
  })
  clock.advance(3_600_000)
  wheel.advance()
  t.ok(probes.every(probe => probe.firedAtMs !== null))
})

t.test('a handler may arm and cancel entries, also those of its own slot', async t => {
  const clock = new ManualClock()
  const wheel = new TimerWheel(clock, 50)
  const other = new Probe(clock)
  class Canceller extends TimerEntry {
    count = 0
    override onTimeout(): void {
      wheel.cancel(other)
      if (++this.count < 3) wheel.scheduleIn(this, 0)
    }
  }
  const canceller = new Canceller()
  wheel.scheduleIn(canceller, 10)
  wheel.scheduleIn(other, 10)
  for (let step = 0; step < 10; step++) {
    clock.advance(100)
    wheel.advance()
  }
  t.equal(canceller.count, 3)
  t.equal(other.firedAtMs, null)
})
