import { readFileSync, writeFileSync } from 'node:fs'
import { FAILURES } from '../base/failure.ts'
import { jsonSchema } from './schema.ts'

type JsonSchema = {
  type?: string; description?: string; default?: unknown; enum?: unknown[]; const?: unknown
  properties?: Record<string, JsonSchema>; additionalProperties?: JsonSchema | boolean; items?: JsonSchema; anyOf?: JsonSchema[]; oneOf?: JsonSchema[]
  required?: string[]
}

/** Brings the parts between `<!-- generated:NAME -->` and `<!-- /generated -->` up to date; with `checks` only tells. */
export function updateDocs(file: string, checks: boolean): number {
  const before = readFileSync(file, 'utf8')
  const after = withGenerated(before)
  if (before === after) return 0
  if (checks) {
    process.stderr.write(`${file} is behind the code: run npm run docs\n`)
    return 1
  }
  writeFileSync(file, after)
  return 0
}

export function withGenerated(page: string): string {
  const parts: Record<string, () => string> = { failures: failureTable, configuration: configurationTable }
  return page.replace(/(<!-- generated:(\w+) -->\n)[\s\S]*?(<!-- \/generated -->)/g, (_whole, open: string, name: string, close: string) => {
    const make = parts[name]
    if (make === undefined) throw new Error(`nothing is generated under the name '${name}'`)
    return `${open}${make()}${close}`
  })
}

function failureTable(): string {
  const rows = Object.entries(FAILURES).map(([code, { status, origin, means }]) => `| ${code} | ${status} | ${origin} | ${means} |`)
  return ['| code | status | origin | means |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

function configurationTable(): string {
  const rows: string[] = []
  collect(jsonSchema() as JsonSchema, '', rows)
  return ['| key | type | default | meaning |', '| --- | --- | --- | --- |', ...rows, ''].join('\n')
}

function collect(schema: JsonSchema, path: string, rows: string[]): void {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const key = path === '' ? name : `${path}.${name}`
    const isRequired = schema.required?.includes(name) ?? false
    rows.push(`| \`${key}\` | ${typeOf(property)} | ${isRequired ? 'required' : defaultOf(property)} | ${(property.description ?? '').replaceAll('|', '\\|')} |`)
    for (const variant of [property, ...property.anyOf ?? [], ...property.oneOf ?? []]) descend(variant, key, rows)
  }
}

function descend(schema: JsonSchema, key: string, rows: string[]): void {
  collect(schema, key, rows)
  const values = typeof schema.additionalProperties === 'object' ? schema.additionalProperties : undefined
  if (values !== undefined) descend(values, `${key}.*`, rows)
  if (values?.oneOf !== undefined) for (const variant of values.oneOf) descend(variant, `${key}.*`, rows)
  if (schema.items !== undefined) for (const variant of [schema.items, ...schema.items.anyOf ?? []]) descend(variant, `${key}[]`, rows)
}

function typeOf(schema: JsonSchema): string {
  const variants = schema.anyOf ?? schema.oneOf
  if (variants !== undefined) return variants.map(typeOf).join(' or ')
  if (schema.enum !== undefined) return schema.enum.map(value => `\`${String(value)}\``).join(', ')
  if (schema.const !== undefined) return `\`${String(schema.const)}\``
  return schema.type === 'array' ? `list of ${schema.items === undefined ? 'values' : typeOf(schema.items)}` : schema.type ?? 'any'
}

function defaultOf(schema: JsonSchema): string {
  const value = schema.default
  if (value === undefined) return ''
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0 && !Array.isArray(value) ? '' : `\`${JSON.stringify(value)}\``
}
