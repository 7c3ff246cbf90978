import { type Path, pointerOf } from './pointer.ts'
import type { Finding, Variable } from './source-document.ts'

/** Collects what the checks find, and shows values without showing what came from the environment. */
export class FindingList {
  readonly findings: Finding[] = []
  readonly #variables: ReadonlyMap<string, Variable>
  #prefixes: ReadonlySet<string> | null = null

  constructor(variables: ReadonlyMap<string, Variable>) {
    this.#variables = variables
  }

  add(path: Path, message: string, at: 'key' | 'value' = 'value'): void {
    this.findings.push({ path, message, at })
  }

  /** The value in quotes; as the document writes it where it holds a variable, which may be a secret. */
  quote(path: Path, value: string): string {
    return `'${this.#variables.get(pointerOf(path))?.written ?? value}'`
  }

  /** Whether a value at or below a path holds a variable. */
  hasVariable(path: Path): boolean {
    return (this.#prefixes ??= prefixesOf(this.#variables.keys())).has(pointerOf(path))
  }
}

function prefixesOf(pointers: Iterable<string>): Set<string> {
  const prefixes = new Set<string>()
  for (const pointer of pointers) {
    for (let end = pointer.length; end !== -1; end = end === 0 ? -1 : pointer.lastIndexOf('/', end - 1)) prefixes.add(pointer.slice(0, end))
  }
  return prefixes
}
