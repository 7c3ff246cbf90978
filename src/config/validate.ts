import { checkAdmin } from './check-admin.ts'
import { checkableOf, salvage } from './checkable.ts'
import { checkPrototypeName, checkRoutes } from './check-routes.ts'
import { checkIdentity } from './check-identity.ts'
import { checkServers } from './check-servers.ts'
import { FindingList } from './finding-list.ts'
import { issueFindings } from './issue-findings.ts'
import { PemFiles } from './pem-files.ts'
import { type Path, pointerOf, setOwn, valueAt } from './pointer.ts'
import { type Document, documentSchema } from './schema.ts'
import type { Finding, SourceDocument } from './source-document.ts'

/** A document that passed every check, or all that is wrong with it. */
export type Validation =
  | { readonly document: Document; readonly files: Readonly<Record<string, string>> }
  | { readonly findings: readonly Finding[] }

/**
 * Checks a document in two rounds: types and ranges by the schema, then what values mean and what they refer to. The
 * second round looks at every part that the first left standing, so one call tells all.
 * `folder`: what relative file names start from.
 */
export function validate(source: SourceDocument, folder: string): Validation {
  const root = source.value
  const result = parse(source)
  const schemaFindings = result.success ? [] : issueFindings(result.error.issues, root)
  const list = new FindingList(source.variables)
  const files = new PemFiles(folder, list)
  if (typeof root === 'object' && root !== null && !Array.isArray(root)) {
    const refusedKeys = schemaFindings.filter(finding => finding.isRefusedKey).map(finding => finding.path)
    const checkable = result.success ? checkableOf(result.data) : salvage(root, refusedKeys)
    checkPrototypeName(valueAt(root, ['upstreams']), ['upstreams'], list)
    for (const key of ['authenticators', 'plans']) checkPrototypeName(valueAt(root, [key]), [key], list)
    checkIdentity(checkable, list, files)
    checkServers(checkable, list, files)
    checkAdmin(checkable, list)
    checkRoutes(checkable, { root, list, unsureRoutes: routesOf(refusedKeys) })
  }
  const findings = [...schemaFindings, ...list.findings]
  return result.success && findings.length === 0 ? { document: result.data, files: files.files } : { findings }
}

/** Parses; where the schema refuses a variable, its other reading is tried. */
function parse({ value, variables }: SourceDocument): ReturnType<typeof documentSchema.safeParse> {
  const result = documentSchema.safeParse(value)
  if (result.success || variables.size === 0) return result
  let isChanged = false
  for (const { path } of issueFindings(result.error.issues, value)) {
    const variable = variables.get(pointerOf(path))
    const parent = valueAt(value, path.slice(0, -1))
    if (variable?.alternative === undefined || typeof parent !== 'object' || parent === null) continue
    setOwn(parent, path.at(-1)!, variable.alternative)
    isChanged = true
  }
  return isChanged ? documentSchema.safeParse(value) : result
}

/** Routes that have one of these keys at their own level. */
function routesOf(paths: readonly Path[]): Set<number> {
  return new Set(paths.filter(([first, , , deeper]) => first === 'routes' && deeper === undefined).map(path => path[1] as number))
}
