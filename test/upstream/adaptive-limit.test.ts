import fc from 'fast-check'
import t from 'tap'
import { AdaptiveLimit } from '../../src/upstream/adaptive-limit.ts'

const WINDOW_MS = 250
const config = { minInFlight: 4, maxInFlight: 1000 }

type Load = { latencyMs: number; inFlight?: number; drops?: number; windows: number }

/** Twenty requests a window; without `inFlight` the limit is used to the full. */
class Traffic {
  readonly limit: AdaptiveLimit
  #nowMs = 1000

  constructor(limit: AdaptiveLimit) {
    this.limit = limit
  }

  run({ latencyMs, inFlight, drops = 0, windows }: Load): number {
    for (let window = 0; window < windows; window++) {
      for (let request = 0; request < 20; request++) {
        // The last one comes at the end of the window.
        const nowMs = this.#nowMs + WINDOW_MS * request / 19
        this.limit.record(latencyMs, inFlight ?? this.limit.limit, request < drops, nowMs)
      }
      this.#nowMs += WINDOW_MS + 1
    }
    return this.limit.limit
  }
}

const newTraffic = () => new Traffic(new AdaptiveLimit(config))

for (const { desc, bounds, want } of [
  { desc: 'begins at 20', bounds: config, want: 20 },
  { desc: 'begins at its least where that is more', bounds: { minInFlight: 50, maxInFlight: 100 }, want: 50 },
  { desc: 'begins at its most where that is less', bounds: { minInFlight: 1, maxInFlight: 8 }, want: 8 },
]) {
  t.test(desc, async t => t.equal(new AdaptiveLimit(bounds).limit, want))
}

for (const { desc, loads, want } of [
  { desc: 'grows while latency stays', loads: [{ latencyMs: 10, windows: 50 }], want: [60, 100] },
  { desc: 'grows up to its most', loads: [{ latencyMs: 10, windows: 1000 }], want: [1000, 1000] },
  { desc: 'does not grow when half of it is used', loads: [{ latencyMs: 10, inFlight: 10, windows: 50 }], want: [20, 20] },
  { desc: 'grows when more than half is used', loads: [{ latencyMs: 10, inFlight: 11, windows: 1 }, { latencyMs: 10, inFlight: 11, windows: 1 }], want: [21, 21] },
  { desc: 'does not fall by latency when half of it is used', loads: [{ latencyMs: 10, inFlight: 10, windows: 20 }, { latencyMs: 100, inFlight: 10, windows: 20 }], want: [20, 20] },
  { desc: 'lets latency rise by less than half', loads: [{ latencyMs: 10, windows: 50 }, { latencyMs: 14, windows: 50 }], want: [150, 250] },
  { desc: 'falls when latency has doubled', loads: [{ latencyMs: 10, windows: 100 }, { latencyMs: 20, windows: 100 }], want: [10, 40] },
  { desc: 'falls to the square of two when latency is far too long', loads: [{ latencyMs: 10, windows: 100 }, { latencyMs: 500, windows: 50 }], want: [4, 8] },
  { desc: 'comes back with latency', loads: [{ latencyMs: 10, windows: 100 }, { latencyMs: 200, windows: 40 }, { latencyMs: 10, windows: 50 }], want: [30, 100] },
  { desc: 'does not take the latency of an overload for normal once it is over', loads: [{ latencyMs: 100, windows: 20 }, { latencyMs: 10, windows: 100 }, { latencyMs: 60, windows: 100 }], want: [4, 10] },
  { desc: 'falls to its least when all are dropped', loads: [{ latencyMs: 10, windows: 100 }, { latencyMs: 10, drops: 20, windows: 8 }], want: [4, 4] },
  { desc: 'halves when all are dropped, used or not', loads: [{ latencyMs: 10, drops: 20, inFlight: 1, windows: 1 }], want: [10, 10] },
  { desc: 'loses a twentieth when a tenth is dropped', loads: [{ latencyMs: 10, drops: 2, inFlight: 1, windows: 1 }], want: [19, 19] },
  { desc: 'settles low when a tenth is dropped all the time', loads: [{ latencyMs: 10, drops: 2, windows: 1000 }], want: [10, 20] },
  { desc: 'stands latencies of nothing', loads: [{ latencyMs: 0, windows: 50 }, { latencyMs: 10, windows: 1 }, { latencyMs: 0, windows: 1 }], want: [50, 100] },
] as { desc: string; loads: Load[]; want: [number, number] }[]) {
  t.test(desc, async t => {
    const traffic = newTraffic()
    let got = 0
    for (const load of loads) got = traffic.run(load)
    t.ok(got >= want[0] && got <= want[1], `${got} is in ${want}`)
  })
}

t.test('one timeout in a thousand does not hold it down', async t => {
  const limit = new AdaptiveLimit(config)
  for (let index = 1; index <= 100_000; index++) limit.record(10, limit.limit, index % 1000 === 0, 1000 + index)
  t.ok(limit.limit > 500, String(limit.limit))
})

t.test('the latency of a dropped request does not count', async t => {
  const [dropped, clean] = [newTraffic(), newTraffic()]
  for (const traffic of [dropped, clean]) traffic.run({ latencyMs: 10, windows: 20 })
  for (let index = 0; index < 20; index++) {
    dropped.limit.record(index === 0 ? 15_000 : 10, 100, index === 0, 90_000 + 20 * index)
    clean.limit.record(10, 100, index === 0, 90_000 + 20 * index)
  }
  t.equal(dropped.limit.limit, clean.limit.limit)
})

t.test('waits for ten requests, and for the end of the window', async t => {
  const limit = new AdaptiveLimit(config)
  for (let index = 0; index < 9; index++) limit.record(10, 20, true, 1000 + 1000 * index)
  t.equal(limit.limit, 20)
  limit.record(10, 20, true, 10_000)
  t.equal(limit.limit, 10)
  for (let index = 0; index < 100; index++) limit.record(10, 20, true, 20_000)
  limit.record(10, 20, true, 20_249)
  t.equal(limit.limit, 10)
  limit.record(10, 20, true, 20_250)
  t.equal(limit.limit, 5)
})

t.test('an upstream that gets a quarter of its strength is asked for less, and for more when it is back', async t => {
  // So many requests at a time take 10 ms each; more of them queue. Clients would send any number.
  const run = (traffic: Traffic, strength: number, windows: number) => {
    for (let window = 0; window < windows; window++) {
      traffic.run({ latencyMs: 10 * Math.max(1, traffic.limit.limit / strength), windows: 1 })
    }
    return traffic.limit.limit
  }
  const traffic = newTraffic()
  const strong = run(traffic, 80, 200)
  t.ok(strong >= 80 && strong <= 240, `uses all of it, with a short queue: ${strong}`)
  const weak = run(traffic, 20, 100)
  t.ok(weak < strong / 2 && weak >= 20, `falls: ${weak}`)
  const restored = run(traffic, 80, 200)
  t.ok(restored >= 80 && restored <= 300, `comes back: ${restored}`)
})

t.test('is an integer within its bounds, whatever comes', async t => {
  const event = fc.tuple(fc.double({ min: 0, max: 1e6, noNaN: true }), fc.nat(2000), fc.boolean(), fc.nat(100))
  const bounds = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.nat(1000))
  fc.assert(fc.property(bounds, fc.array(event, { maxLength: 300, size: 'max' }), ([minInFlight, more], events) => {
    const maxInFlight = minInFlight + more
    const limit = new AdaptiveLimit({ minInFlight, maxInFlight })
    let nowMs = 1000
    for (const [latencyMs, inFlight, isDropped, pauseMs] of events) {
      limit.record(latencyMs, inFlight, isDropped, nowMs += pauseMs)
      if (!Number.isInteger(limit.limit) || limit.limit < minInFlight || limit.limit > maxInFlight) return false
    }
    return true
  }), { seed: 20_240, numRuns: 500 })
  t.pass()
})
