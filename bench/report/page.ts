import type { ScenarioResult } from '../scenario.ts'
import { isMet, verdictText } from './terminal.ts'

const STYLE = `
:root { color-scheme: light dark; --bar: light-dark(#2f6f9f, #6db3e2); --peer: light-dark(#b9c4cc, #4d5962); --line: light-dark(#dde3e7, #333c43) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin: 2.5rem 0 0 } p { margin: .2rem 0 1rem }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right } th:first-child, td:first-child { text-align: left }
svg { width: 100%; margin: .5rem 0 1rem } text { fill: currentColor; font: 13px system-ui, sans-serif }
.met { color: light-dark(#1a7f37, #57ab5a) } .missed { color: light-dark(#b42318, #f47067) }`

/** The whole run as one HTML page: no script, nothing from elsewhere. */
export function page(machine: object, results: readonly ScenarioResult[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Penstock bench</title>
<style>${STYLE}</style>
<h1>Penstock bench</h1>
<p>${escape(Object.entries(machine).map(([name, value]) => `${name} ${value}`).join(' · '))}</p>
${results.map(section).join('\n')}
</html>
`
}

function section(result: ScenarioResult): string {
  const columns = Object.keys(result.rows[0] ?? {})
  return `<h2 id="${escape(result.name)}">${escape(result.name)}</h2>
<p>${escape(result.question)}</p>
${result.verdicts.map(verdict => `<p class="${verdict.atMost === null ? '' : isMet(verdict.value, verdict.atMost) ? 'met' : 'missed'}">${escape(verdictText(verdict))}</p>`).join('\n')}
${bars(result)}
<table><tr>${columns.map(column => `<th>${escape(column)}`).join('')}
${result.rows.map(row => `<tr>${columns.map(column => `<td>${escape(String(row[column] ?? '–'))}`).join('')}`).join('\n')}
</table>`
}

const HEIGHT = 24
const LABEL = 200
const WIDTH = 900

function bars({ rows, chart }: ScenarioResult): string {
  const shown = rows.filter(row => typeof row[chart] === 'number')
  const greatest = Math.max(...shown.map(row => Number(row[chart])))
  if (shown.length === 0 || greatest <= 0) return ''
  const scale = (WIDTH - LABEL - 90) / greatest
  return `<svg viewBox="0 0 ${WIDTH} ${shown.length * HEIGHT}" role="img" aria-label="${escape(chart)} by subject">
${shown.map((row, i) => {
    const value = Number(row[chart])
    const y = i * HEIGHT
    const fill = /^gateway|^with|^after|^reload|^start/.test(row.subject) ? 'var(--bar)' : 'var(--peer)'
    return `<text x="${LABEL - 8}" y="${y + 16}" text-anchor="end">${escape(row.subject)}</text>`
      + `<rect x="${LABEL}" y="${y + 3}" width="${(value * scale).toFixed(1)}" height="${HEIGHT - 7}" fill="${fill}"/>`
      + `<text x="${(LABEL + value * scale + 6).toFixed(1)}" y="${y + 16}">${value} ${i === 0 ? escape(chart) : ''}</text>`
  }).join('\n')}
</svg>`
}

const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
