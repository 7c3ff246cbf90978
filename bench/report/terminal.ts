import type { ScenarioResult, Verdict } from '../scenario.ts'

/** One scenario on the terminal. */
export function printResult(result: ScenarioResult): void {
  console.log(`\n${result.name}: ${result.question}`)
  printTable(result.rows)
  for (const verdict of result.verdicts) console.log(`  ${verdictText(verdict)}`)
}

export function verdictText({ what, value, spread, atMost }: Verdict): string {
  const range = spread === null ? '' : ` (${spread[0]} to ${spread[1]})`
  return `${what}: ${value}${range}${atMost === null ? '' : `, at most ${atMost}: ${isMet(value, atMost) ? 'met' : 'MISSED'}`}`
}

export const isMet = (value: number, atMost: number): boolean => value <= atMost

function printTable(rows: ScenarioResult['rows']): void {
  const columns = Object.keys(rows[0] ?? {})
  const cells = rows.map(row => columns.map(column => String(row[column] ?? '–')))
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map(row => row[i]!.length)))
  const line = (texts: readonly string[]): string => texts.map((text, i) => i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!)).join('   ')
  console.log(`  ${line(columns)}`)
  for (const row of cells) console.log(`  ${line(row)}`)
}
