import autocannon from 'autocannon'

export type LoadResult = { requests: number; requestsPerSecond: number; p50Ms: number; p99Ms: number; failures: number }

/** Saturation: each connection sends its next request when the last is answered. */
export async function closedLoop(url: string, connections: number, seconds: number): Promise<LoadResult> {
  const result = await autocannon({ url, connections, duration: seconds })
  return {
    requests: result.requests.total,
    requestsPerSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    failures: result.errors + result.timeouts + result.non2xx,
  }
}
