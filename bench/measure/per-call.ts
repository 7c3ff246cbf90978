/** Nanoseconds a call takes once it is warm. `call` gets its number and answers something that depends on its work. */
export function nanosecondsPerCall(call: (index: number) => number, seconds: number): number {
  let sum = 0
  let index = 0
  const run = (milliseconds: number): number => {
    const startMs = performance.now()
    const first = index
    do {
      for (let i = 0; i < 512; i++) sum += call(index++)
    } while (performance.now() - startMs < milliseconds)
    return (performance.now() - startMs) * 1_000_000 / (index - first)
  }
  run(Math.min(200, seconds * 200))
  const result = run(seconds * 1000)
  // Used, so that no compiler leaves the work out.
  if (Number.isNaN(sum)) throw new Error('a call that answers NaN')
  return result
}
