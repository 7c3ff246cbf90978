import { readScalar, substitute } from './environment.ts'
import { type Path, pointerOf } from './pointer.ts'

/** Something wrong at a place of a document; line and column are looked up when all of them are known. */
export type Finding = {
  readonly path: Path
  readonly message: string
  /** Whether the name or the value is to be shown; default the value. */
  readonly at?: 'key' | 'value'
  /** The piece of the value that is meant: a variable in a longer text. */
  readonly needle?: string
  /** The key is not the schema's: what it may have been meant for is not missed. */
  readonly isRefusedKey?: boolean
  /** Where it is in the text, when that is known already. */
  readonly offset?: number
}

/** A text of the document that named environment variables. */
export type Variable = {
  /** As it stands in the document: what a message may show. */
  readonly written: string
  /**
   * The other reading of a text that is one variable and nothing else: `${WORKERS}` is a number where the schema wants
   * one, and `${TOKEN}` is text even if it has only digits. Undefined when there is just one reading.
   */
  readonly alternative: unknown
}

/** A text as plain data, variables replaced, that can say where each value stands. */
export type SourceDocument = {
  readonly value: unknown
  /** By JSON pointer. */
  readonly variables: ReadonlyMap<string, Variable>
  readonly findings: readonly Finding[]
  /** The offset in the text of each finding. A value that is missing is where it would belong: at its parent. */
  locate(findings: readonly Finding[]): number[]
}

/** Replaces the variables of one text and notes what was found, under the path where it stands. */
export class VariableReader {
  readonly variables = new Map<string, Variable>()
  readonly findings: Finding[] = []
  readonly #environment: NodeJS.ProcessEnv

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment
  }

  /** `isPlain`: it stands without quotes, so it reads like any scalar of YAML. `path` is copied. */
  read(written: string, path: Path, isPlain: boolean): unknown {
    const { text, isWhole, problems } = substitute(written, this.#environment)
    for (const problem of problems) this.findings.push({ path: [...path], ...problem })
    const scalar = isWhole ? readScalar(text) : text
    const alternative = scalar === text ? undefined : isPlain ? text : scalar
    this.variables.set(pointerOf(path), { written, alternative })
    return isPlain ? scalar : text
  }
}
