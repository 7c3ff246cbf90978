/** One thing that is wrong with a document, and what to do about it. */
export type ConfigProblem = {
  /** As it was given. */
  readonly file: string
  /** From 1; 0 when the file could not be read. */
  readonly line: number
  /** From 1, in UTF-16 units; 0 when the file could not be read. */
  readonly column: number
  /** JSON pointer (RFC 6901) to the value, or to where it is missing; '' is the whole document. */
  readonly pointer: string
  readonly message: string
}

/** A document is refused, with everything that is wrong with it, in the order of the text. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(problems.map(printProblem).join('\n'))
    this.name = 'ConfigError'
    this.problems = problems
  }
}

/** `file:line:column /pointer: message`, which editors and terminals make a link of. */
export function printProblem({ file, line, column, pointer, message }: ConfigProblem): string {
  const place = line === 0 ? file : `${file}:${line}:${column}`
  return `${place}${pointer === '' ? '' : ` ${pointer}`}: ${message}`
}
