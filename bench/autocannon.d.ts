/** What the bench uses of autocannon, which ships no types. */
declare module 'autocannon' {
  type Result = {
    requests: { total: number; average: number }
    latency: { p50: number; p99: number }
    errors: number
    timeouts: number
    non2xx: number
  }
  type Options = {
    url: string
    connections: number
    /** Seconds; or `amount` of requests. */
    duration?: number
    amount?: number
    requests?: readonly { method?: string; path: string; body?: string }[]
  }
  export default function autocannon(options: Options): Promise<Result>
}
