/** What the bench uses of autocannon, which ships no types. */
declare module 'autocannon' {
  type Result = {
    requests: { total: number; average: number }
    latency: { p50: number; p99: number }
    errors: number
    timeouts: number
    non2xx: number
  }
  export default function autocannon(options: { url: string; connections: number; duration: number }): Promise<Result>
}
