import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { openLoop, type OpenLoopResult } from '../measure/open-loop.ts'
import { median, percentile, round, spreadOf } from '../measure/statistics.ts'
import type { Outcome, Row, Scenario } from '../scenario.ts'
import { gateway } from '../subjects/gateway.ts'
import { freePort, startProcess, stop, untilListening } from '../subjects/processes.ts'
import { withSubjects } from '../subjects/subject.ts'

const ENDPOINT = fileURLToPath(new URL('../subjects/endpoint.js', import.meta.url))

type EndpointPlan = { readonly delayMs?: number; readonly status?: number }
type RunningEndpoint = { readonly port: number; readonly url: string; process: ChildProcess; restart(): Promise<void> }

async function startEndpoint({ delayMs = 0, status = 200 }: EndpointPlan): Promise<RunningEndpoint> {
  const port = await freePort()
  const start = (): ChildProcess => startProcess(1, process.execPath, [ENDPOINT, String(port), String(delayMs), String(status)])
  const endpoint: RunningEndpoint = {
    port, url: `http://127.0.0.1:${port}`, process: start(),
    restart: async () => {
      endpoint.process = start()
      await untilListening(port)
    },
  }
  await untilListening(port)
  return endpoint
}

/** Endpoints for the time of `use`, ended afterwards whatever happened. */
async function withEndpoints<T>(plans: readonly EndpointPlan[], use: (endpoints: RunningEndpoint[]) => Promise<T>): Promise<T> {
  const endpoints: RunningEndpoint[] = []
  try {
    for (const plan of plans) endpoints.push(await startEndpoint(plan))
    return await use(endpoints)
  } finally {
    await Promise.all(endpoints.map(endpoint => stop(endpoint.process)))
  }
}

const countOf = async (endpoint: RunningEndpoint): Promise<number> => Number(await (await fetch(`${endpoint.url}/count`)).text())
const route = (id: string, upstream: string): object => ({ id, match: { path: `/${id}/{rest+}` }, upstream })
const PER_SECOND = 2000

export const slowEndpoint: Scenario = {
  name: 'slow-endpoint',
  question: 'two endpoints, one 20 times slower: what does a client feel of it?',
  run: effort => withEndpoints([{ delayMs: 2 }, { delayMs: 40 }], ([good, slow]) => withSubjects({
    both: gateway({ upstreams: { pair: { endpoints: [good!.url, slow!.url] } }, routes: [route('pair', 'pair')] }),
    good: gateway({ upstreams: { one: { endpoints: [good!.url] } }, routes: [route('pair', 'one')] }),
  }, async ([both, alone]) => {
    const rows: Row[] = []
    const ratios: number[] = []
    for (let turn = 0; turn <= effort.rounds; turn++) {
      const results: OpenLoopResult[] = []
      for (const { port } of [both!, alone!]) results.push(await openLoop({ port, path: () => '/pair/x', perSecond: PER_SECOND, connections: 64, seconds: effort.seconds }))
      if (turn === 0) continue
      ratios.push(results[0]!.p99Ms / results[1]!.p99Ms)
      rows.push(...['both', 'the good one alone'].map((name, i) => ({ subject: `${name}, round ${turn}`, 'p50 ms': results[i]!.p50Ms, 'p99 ms': results[i]!.p99Ms, failures: results[i]!.failures })))
    }
    return { rows, verdicts: [{ what: 'p99, both / the good one alone', value: round(median(ratios)), spread: spreadOf(ratios), atMost: 1.5 }], chart: 'p99 ms' }
  })),
}

export const killedEndpoint: Scenario = {
  name: 'killed-endpoint',
  question: 'ten endpoints, one is killed and comes back: who notices?',
  run: effort => withEndpoints(Array.from({ length: 10 }, () => ({})), endpoints => withSubjects({
    gateway: gateway({
      upstreams: { ten: { endpoints: endpoints.map(endpoint => endpoint.url), health: { intervalMs: 500, timeoutMs: 500, healthyAfter: 1, unhealthyAfter: 2 } } },
      routes: [route('ten', 'ten')],
    }),
  }, async ([subject]): Promise<Outcome> => {
    const victim = endpoints[3]!
    const rows: Row[] = []
    let failures = 0
    const backMs: number[] = []
    for (let turn = 1; turn <= Math.min(3, effort.rounds); turn++) {
      const load = openLoop({ port: subject!.port, path: () => '/ten/x', perSecond: PER_SECOND, connections: 64, seconds: 6 })
      await sleep(1000)
      victim.process.kill('SIGKILL')
      await sleep(2000)
      await victim.restart()
      const restartedMs = performance.now()
      while (await countOf(victim) === 0 && performance.now() - restartedMs < 10_000) await sleep(20)
      backMs.push(performance.now() - restartedMs)
      const { p99Ms, greatestMs, requests, failures: failed } = await load
      failures += failed
      rows.push({ subject: `kill ${turn}`, requests, failures: failed, 'p99 ms': p99Ms, 'greatest ms': greatestMs, 'traffic back after ms': Math.round(backMs.at(-1)!) })
    }
    return {
      rows, chart: 'traffic back after ms',
      verdicts: [
        { what: 'failed requests', value: failures, spread: null, atMost: 0 },
        { what: 'traffic back after its recovery, ms', value: Math.round(Math.max(...backMs)), spread: null, atMost: 2000 },
      ],
    }
  })),
}

export const deadUpstream: Scenario = {
  name: 'dead-upstream',
  question: 'does a route whose upstream is dead slow another route down?',
  run: effort => withEndpoints([{ delayMs: 2 }], ([good]) => withSubjects({
    gateway: gateway({ upstreams: { good: { endpoints: [good!.url] }, dead: { endpoints: [`http://127.0.0.1:9`] } }, routes: [route('good', 'good'), route('dead', 'dead')] }),
  }, async ([subject]): Promise<Outcome> => {
    const load = (path: string, perSecond: number) => openLoop({ port: subject!.port, path: () => path, perSecond, connections: 32, seconds: effort.seconds })
    await load('/good/x', PER_SECOND)
    const rows: Row[] = []
    const ratios: number[] = []
    for (let turn = 1; turn <= effort.rounds; turn++) {
      const alone = await load('/good/x', PER_SECOND)
      const [beside] = await Promise.all([load('/good/x', PER_SECOND), load('/dead/x', PER_SECOND / 4)])
      ratios.push(beside.p99Ms / alone.p99Ms)
      rows.push({ subject: `alone, round ${turn}`, 'p50 ms': alone.p50Ms, 'p99 ms': alone.p99Ms, failures: alone.failures },
        { subject: `beside a dead one, round ${turn}`, 'p50 ms': beside.p50Ms, 'p99 ms': beside.p99Ms, failures: beside.failures })
    }
    return { rows, chart: 'p99 ms', verdicts: [{ what: 'p99 of the good route, beside the dead one / alone', value: round(median(ratios)), spread: spreadOf(ratios), atMost: 1.1 }] }
  })),
}

export const retryStorm: Scenario = {
  name: 'retry-storm',
  question: 'when every endpoint fails, how many requests do the upstreams get for each one that a client sends?',
  run: effort => withEndpoints([{ status: 503 }, { status: 503 }, { status: 503 }], endpoints => withSubjects({
    gateway: gateway({ upstreams: { failing: { endpoints: endpoints.map(endpoint => endpoint.url), retries: { attempts: 3 } } }, routes: [route('failing', 'failing')] }),
  }, async ([subject]): Promise<Outcome> => {
    const rows: Row[] = []
    const ratios: number[] = []
    for (let turn = 1; turn <= Math.min(3, effort.rounds); turn++) {
      const before = await Promise.all(endpoints.map(countOf))
      const { requests } = await openLoop({ port: subject!.port, path: () => '/failing/x', perSecond: PER_SECOND, connections: 64, seconds: Math.max(2, effort.seconds) })
      const after = await Promise.all(endpoints.map(countOf))
      const upstream = after.reduce((sum, count, i) => sum + count - before[i]!, 0)
      ratios.push(upstream / requests)
      rows.push({ subject: `round ${turn}`, 'client requests': requests, 'upstream requests': upstream, ratio: round(upstream / requests) })
    }
    return { rows, chart: 'ratio', verdicts: [{ what: 'upstream requests / client requests', value: round(percentile(ratios.toSorted((a, b) => a - b), 1)), spread: spreadOf(ratios), atMost: 1.2 }] }
  })),
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
