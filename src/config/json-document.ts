import { endOfString, JsonPlaces } from './json-places.ts'
import { setOwn } from './pointer.ts'
import { type SourceDocument, VariableReader } from './source-document.ts'

/**
 * Reads JSON by the engine's own parser: the way for large generated documents. Null when the text is not JSON or a
 * name stands twice in an object; the YAML parser, which takes JSON too, says where.
 */
export function readJson(text: string, environment: NodeJS.ProcessEnv): SourceDocument | null {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  // The engine's parser keeps the last of two equal names without a word.
  if (countNames(text) !== countMembers(value)) return null
  const reader = new VariableReader(environment)
  if (text.includes('${')) value = replaceVariables(value, [], reader)
  return {
    value,
    variables: reader.variables,
    findings: reader.findings,
    locate: findings => new JsonPlaces(text).locate(findings),
  }
}

/** Strings before a colon, in a text that is JSON. */
function countNames(text: string): number {
  let count = 0
  for (let start = text.indexOf('"'); start !== -1;) {
    const end = endOfString(text, start)
    let next = end
    while (text.charCodeAt(next) <= 0x20) next += 1
    if (text.charCodeAt(next) === 0x3a) count += 1
    start = text.indexOf('"', end)
  }
  return count
}

function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let count = 0
  if (Array.isArray(value)) {
    for (const item of value) count += countMembers(item)
    return count
  }
  for (const name of Object.keys(value)) count += 1 + countMembers((value as Record<string, unknown>)[name])
  return count
}

function replaceVariables(value: unknown, path: (string | number)[], reader: VariableReader): unknown {
  if (typeof value === 'string') return value.includes('${') ? reader.read(value, path, false) : value
  if (typeof value !== 'object' || value === null) return value
  for (const name of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    const member = (value as Record<string | number, unknown>)[name]
    path.push(name)
    const replaced = replaceVariables(member, path, reader)
    path.pop()
    if (replaced !== member) setOwn(value, name, replaced)
  }
  return value
}
