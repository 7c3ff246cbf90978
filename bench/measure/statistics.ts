/** The middle value; of an even number, the upper one of the middle two. */
export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN

export const round = (value: number, digits = 2): number => Number(value.toFixed(digits))

/** `ratio` 0.99: the value that 99 of 100 do not exceed. `sorted` ascending. */
export function percentile(sorted: ArrayLike<number>, ratio: number): number {
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(ratio * sorted.length) - 1))] ?? Number.NaN
}

export function spreadOf(values: readonly number[]): [number, number] {
  return [round(Math.min(...values)), round(Math.max(...values))]
}
