export type Admission = { readonly atMs: number; readonly tokens: number }

/**
 * The highest level of a bucket that each admission fills by its tokens and that drains at the rate: what the promise
 * admitted(t1, t2] <= B + R·(t2 − t1) bounds by B.
 */
export function highestLevel(admissions: readonly Admission[], requestsPerSecond: number): number {
  let level = 0
  let highest = 0
  let lastMs = -Infinity
  for (const { atMs, tokens } of [...admissions].sort((one, other) => one.atMs - other.atMs)) {
    level = Math.max(0, level - (lastMs === -Infinity ? 0 : (atMs - lastMs) * requestsPerSecond / 1000)) + tokens
    lastMs = atMs
    highest = Math.max(highest, level)
  }
  return highest
}
