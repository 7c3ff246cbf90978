import { percentile, round } from '../../bench/measure/statistics.ts'

/**
 * What became of a request. `right`: 200 with its own body; `wrong`: 200 with any other; `refusal`: another status;
 * `cut`: the connection ended before the answer was whole; `unconnected`: there was none; `unanswered`: no whole answer
 * by the deadline; `malformed`: bytes that are no answer.
 */
export type Outcome = 'right' | 'wrong' | 'refusal' | 'cut' | 'unconnected' | 'unanswered' | 'malformed'

export type RequestRecord = {
  /** Counted from 1; its path ends in it. */
  readonly number: number
  /** When it should have been sent, and when it was, since the start of the load; null: never, no connection was free. */
  readonly dueMs: number
  readonly sentMs: number | null
  /** From `dueMs` until its last byte, or until it was lost. */
  readonly latencyMs: number
  readonly outcome: Outcome
  readonly status: number | null
  /** The code of an answer of the gateway's own. */
  readonly code: string | null
  /** What came, where it is not `right`; cut to MAX_BYTES_KEPT. */
  readonly bytes: string
}

/** By the time at which requests were due. */
export type SecondSample = {
  readonly second: number
  readonly requests: number
  readonly right: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly greatestMs: number
}

export type OpenLoadResult = {
  /** `performance.now()` of the start. */
  readonly startMs: number
  /** One each, by number. */
  readonly records: readonly RequestRecord[]
  /** By `totalsKey`. */
  readonly totals: Readonly<Record<string, number>>
  readonly wrong: readonly RequestRecord[]
  /** Bytes that came where no request was waiting: second answers. */
  readonly surplus: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly greatestMs: number
  readonly seconds: readonly SecondSample[]
}

export const MAX_BYTES_KEPT = 500

/** `right`, `cut`, …; for a refusal its status, with the code where there is one: `504 GW_UPSTREAM_HEAD_TIMEOUT`. */
export function totalsKey({ outcome, status, code }: RequestRecord): string {
  return outcome !== 'refusal' ? outcome : code === null ? String(status) : `${status} ${code}`
}

export function summarize(startMs: number, records: readonly RequestRecord[], surplus: readonly string[]): OpenLoadResult {
  const totals: Record<string, number> = {}
  for (const record of records) totals[totalsKey(record)] = (totals[totalsKey(record)] ?? 0) + 1
  const bySecond: RequestRecord[][] = []
  for (const record of records) (bySecond[Math.floor(record.dueMs / 1000)] ??= []).push(record)
  const latencies = sortedLatencies(records)
  return {
    startMs, records, totals, surplus,
    wrong: records.filter(record => record.outcome === 'wrong'),
    p50Ms: round(percentile(latencies, 0.5)),
    p99Ms: round(percentile(latencies, 0.99)),
    p999Ms: round(percentile(latencies, 0.999)),
    greatestMs: round(percentile(latencies, 1)),
    seconds: bySecond.map((of, second) => sampleOf(second, of)),
  }
}

function sampleOf(second: number, records: readonly RequestRecord[]): SecondSample {
  const latencies = sortedLatencies(records)
  return {
    second,
    requests: records.length,
    right: records.filter(record => record.outcome === 'right').length,
    p50Ms: round(percentile(latencies, 0.5)),
    p99Ms: round(percentile(latencies, 0.99)),
    greatestMs: round(percentile(latencies, 1)),
  }
}

const sortedLatencies = (records: readonly RequestRecord[]): number[] => records.map(record => record.latencyMs).sort((a, b) => a - b)
