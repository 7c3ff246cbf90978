import { type AddressInfo, createServer } from 'node:net'
import t, { type Test } from 'tap'
import type { HealthConfig } from '../../../src/control/health/http-probe.ts'
import { Prober } from '../../../src/control/health/prober.ts'
import { parseEndpoint } from '../../../src/upstream/endpoint.ts'
import { Random } from '../../support/random.ts'

const HEALTH: HealthConfig = {
  type: 'tcp', path: '/', host: null, intervalMs: 5000, timeoutMs: 60_000, healthyAfter: 2, unhealthyAfter: 3, statuses: [200], bodyContains: null,
}

/** Waits that were asked for; each passes at once. */
function captureWaits(t: Test): number[] {
  const waitsMs: number[] = []
  const original = globalThis.setTimeout
  globalThis.setTimeout = ((callback: () => void, ms: number) => {
    // Not the bound on a probe itself.
    if (ms === HEALTH.timeoutMs) return original(callback, ms)
    waitsMs.push(ms)
    return original(callback, 0)
  }) as typeof setTimeout
  t.teardown(() => { globalThis.setTimeout = original })
  return waitsMs
}

function startProber(t: Test, health: Partial<HealthConfig> = {}): Prober {
  const random = new Random(7)
  const prober = new Prober({ ...HEALTH, ...health }, () => ({}), { onTransition: () => { /* Not asked. */ } }, { random: () => random.next() })
  t.teardown(() => prober.stop())
  return prober
}

/** Answers when `count` probes have come; `start` gets the URL to probe. */
async function waitForProbes(t: Test, count: number, start: (url: string) => void): Promise<void> {
  let probes = 0
  let isEnough: () => void = () => { /* Set below. */ }
  const enough = new Promise<void>(resolve => { isEnough = resolve })
  const server = createServer(socket => {
    socket.on('error', () => { /* A probe may reset it. */ })
    socket.end()
    if (++probes === count) isEnough()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  start(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  await enough
}

t.test('each wait is the interval, 10 % more or less', async t => {
  const waitsMs = captureWaits(t)
  const prober = startProber(t)
  await waitForProbes(t, 200, url => prober.update([parseEndpoint(url)]))
  prober.stop()
  const [firstMs = NaN, ...laterMs] = waitsMs
  t.ok(firstMs >= 0 && firstMs < 500, `first probe within a tenth: ${firstMs}`)
  t.ok(laterMs.length >= 198 && laterMs.every(ms => ms >= 4500 && ms <= 5500))
  t.ok(Math.min(...laterMs) < 4550 && Math.max(...laterMs) > 5450, 'all of the range is used')
})

t.test('the longest interval is not taken for none', async t => {
  const waitsMs = captureWaits(t)
  const prober = startProber(t, { intervalMs: 2_147_483_647 })
  await waitForProbes(t, 20, url => prober.update([parseEndpoint(url)]))
  prober.stop()
  // Node runs a timer of more than that after a millisecond.
  t.equal(Math.max(...waitsMs), 2_147_483_647)
})

for (const { desc, count, windowMs } of [
  { desc: 'a few start within a tenth of the interval', count: 10, windowMs: 500 },
  { desc: 'a thousand are spread over the interval', count: 1000, windowMs: 5000 },
  { desc: 'and so are more', count: 3000, windowMs: 5000 },
]) {
  t.test(desc, async t => {
    const waitsMs = captureWaits(t)
    const prober = startProber(t)
    prober.update(Array.from({ length: count }, (_, i) => parseEndpoint(`http://127.0.0.1:${i + 1}`)))
    prober.stop()
    t.equal(waitsMs.length, count)
    const tenths = Array<number>(10).fill(0)
    for (const ms of waitsMs) tenths[Math.floor(ms / windowMs * 10)]!++
    t.strictSame(tenths, Array<number>(10).fill(count / 10))
  })
}
