/** Rows as lines, columns in line under their titles. */
export function textTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [titles, ...rows]
  const widths = titles.map((_, column) => all.reduce((width, row) => Math.max(width, row[column]?.length ?? 0), 0))
  return `${all.map(row => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')}\n`
}
