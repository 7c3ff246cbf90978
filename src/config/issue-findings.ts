import type { z } from 'zod'
import { nearest, quoteList } from './nearest.ts'
import { type Path, valueAt } from './pointer.ts'
import { documentSchema, NOT_SUPPORTED_YET } from './schema.ts'
import type { Finding } from './source-document.ts'

type Issue = z.core.$ZodIssue

/** What the schema has against a document, in our words. The messages name types and bounds, never a value. */
export function issueFindings(issues: readonly Issue[], root: unknown): Finding[] {
  return issues.flatMap(issue => findingsOf(issue, issue.path as (string | number)[], root))
}

function findingsOf(issue: Issue, path: Path, root: unknown): Finding[] {
  switch (issue.code) {
    case 'unrecognized_keys': return issue.keys.map(key => unknownKey(path, key))
    case 'invalid_union': return unionFindings(issue, path, root)
    case 'invalid_key': return issue.issues.map(inner => ({ path, at: 'key', message: inner.message }))
    default: return [{ path, message: messageOf(issue, path, valueAt(root, path)) }]
  }
}

/** The branch that fits the value best speaks for the union; where none fits, all say what they want. */
function unionFindings(issue: z.core.$ZodIssueInvalidUnion, path: Path, root: unknown): Finding[] {
  const value = valueAt(root, path)
  const { discriminator, options } = issue as { discriminator?: string; options?: readonly unknown[] }
  if (discriminator !== undefined && options !== undefined) {
    // The path ends in the member that chooses the branch.
    const wanted = options.map(option => `'${String(option)}'`).join(' or ')
    return [{ path, message: value === undefined ? missing(path, wanted) : `must be ${wanted}` }]
  }
  if (value === undefined) return [{ path, message: missing(path, wantOfUnion(issue)) }]
  const fitting = issue.errors.filter(errors => !errors.some(error => error.path.length === 0 && isTypeIssue(error)))
  const [best] = fitting.sort((left, right) => left.length - right.length)
  if (best === undefined) return [{ path, message: `must be ${wantOfUnion(issue)}, not ${describe(value)}` }]
  return best.flatMap(inner => findingsOf(inner, [...path, ...inner.path as (string | number)[]], root))
}

function isTypeIssue({ code }: Issue): boolean {
  return code === 'invalid_type' || code === 'invalid_value' || code === 'invalid_union'
}

function wantOfUnion(issue: z.core.$ZodIssueInvalidUnion): string {
  const wants = issue.errors.flatMap(errors => errors.filter(isTypeIssue).slice(0, 1).map(want))
  return [...new Set(wants)].join(' or ')
}

/** What an issue would have accepted, in words. */
function want(issue: Issue): string {
  if (issue.code === 'invalid_value') return issue.values.map(value => `'${String(value)}'`).join(' or ')
  if (issue.code === 'invalid_union') return wantOfUnion(issue)
  switch (issue.code === 'invalid_type' ? issue.expected : '') {
    case 'string': return 'text'
    case 'int': return 'a whole number'
    case 'number': return 'a number'
    case 'boolean': return 'true or false'
    case 'array': return 'a list'
    case 'object': case 'record': return 'a mapping'
    default: return 'something else'
  }
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'string': return 'text'
    case 'number': return Number.isInteger(value) ? 'a number' : 'a fraction'
    case 'boolean': return 'true or false'
    default: return 'a mapping'
  }
}

function messageOf(issue: Issue, path: Path, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      if (path.length === 0) {
        return value === undefined || value === null ? 'the document is empty: write at least one route'
          : `the document must be a mapping (listeners, upstreams, routes), not ${describe(value)}`
      }
      if (value === undefined) return missing(path, want(issue))
      return `must be ${want(issue)}, not ${describe(value)}${remedyOf(issue, value)}`
    case 'invalid_value':
      if (value === undefined) return missing(path, want(issue))
      return `must be ${want(issue)}${typeof value === 'string' ? '' : `, not ${describe(value)}`}`
    case 'too_small': return bound(issue.origin, 'at least', Number(issue.minimum))
    case 'too_big': return bound(issue.origin, 'at most', Number(issue.maximum))
    default: return issue.message
  }
}

function remedyOf(issue: z.core.$ZodIssueInvalidType, value: unknown): string {
  if (issue.expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')) return ': put it in quotes'
  if (typeof value === 'string' && (issue.expected === 'int' || issue.expected === 'number') && /^\d+$/.test(value)) return ': take the quotes off'
  return ''
}

function bound(origin: string, relation: string, limit: number): string {
  if (origin === 'string') return limit === 1 ? 'must not be empty' : `must have ${relation} ${limit} characters`
  if (origin === 'array') return limit === 1 ? 'must have at least one entry' : `must have ${relation} ${limit} entries`
  return `must be ${relation} ${limit}`
}

function missing(path: Path, wanted: string): string {
  return `'${path.at(-1)}' is missing: add it (${wanted})`
}

function unknownKey(path: Path, key: string): Finding {
  const own = [...path, key]
  if (isNotSupportedYet(own)) return { path: own, at: 'key', isRefusedKey: true, message: `'${key}' is not supported yet by this version: remove it` }
  const known = knownKeys(path)
  const like = nearest(key, known)
  const remedy = like === null ? `known here: ${quoteList(known)}` : `did you mean '${like}'?`
  return { path: own, at: 'key', isRefusedKey: true, message: `unknown key '${key}'; ${remedy}` }
}

export function isNotSupportedYet(path: Path): boolean {
  return NOT_SUPPORTED_YET.some(pattern => {
    const steps = pattern.split('/').slice(1)
    return steps.length === path.length && steps.every((step, index) => step === '*' || step === path[index])
  })
}

/** Names that the schema knows at a path, found by walking the schema along it. */
function knownKeys(path: Path): string[] {
  let schemas = unwrap(documentSchema)
  for (const step of path) schemas = schemas.flatMap(schema => below(schema, step))
  return schemas.flatMap(schema => (schema._zod.def.type === 'object' ? Object.keys(schema._zod.def.shape) : []))
}

function below(schema: z.core.$ZodTypes, step: string | number): z.core.$ZodTypes[] {
  const { def } = schema._zod
  switch (def.type) {
    case 'object': return Object.hasOwn(def.shape, step) ? unwrap(def.shape[step]!) : []
    case 'array': return unwrap(def.element)
    case 'record': return unwrap(def.valueType)
    default: return []
  }
}

/** The schemas behind defaults, null and unions. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodTypes[] {
  const typed = schema as z.core.$ZodTypes
  const { def } = typed._zod
  switch (def.type) {
    case 'default': case 'prefault': case 'optional': case 'nullable': return unwrap(def.innerType)
    case 'union': return def.options.flatMap(unwrap)
    case 'pipe': return unwrap(def.in)
    default: return [typed]
  }
}
