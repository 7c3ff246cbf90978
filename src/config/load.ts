import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { readJson } from './json-document.ts'
import { LineIndex } from './line-index.ts'
import { pointerOf } from './pointer.ts'
import { sealSnapshot } from './seal-snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import type { Finding, SourceDocument } from './source-document.ts'
import { validate } from './validate.ts'
import { readYaml } from './yaml-document.ts'

/**
 * Reads, checks and freezes a configuration document and the files that it names. Blocks while it does: at the start
 * nothing else is to be done, and on a reload the workers are other threads.
 *
 * Failures: ConfigError with all that is wrong. What came from the environment is in none of its messages.
 */
export function loadSnapshot(file: string, environment: NodeJS.ProcessEnv): Snapshot {
  const text = readText(file)
  const source = readSource(file, text, environment)
  const validation = source.findings.length > 0 && source.value === null ? { findings: [] } : validate(source, dirname(resolve(file)))
  // Named variables are missing: what a check says about the empty text in their place is noise.
  const missing = new Set(source.findings.map(({ path }) => pointerOf(path)))
  const findings = 'findings' in validation ? validation.findings.filter(({ path }) => path.length === 0 || !missing.has(pointerOf(path))) : []
  const all = [...source.findings, ...findings]
  if (all.length > 0 || 'findings' in validation) throw new ConfigError(placed(all, source, file, text))
  return sealSnapshot(validation.document, validation.files, dirname(resolve(file)))
}

function readText(file: string): string {
  try {
    // A byte order mark is no part of the document.
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file))
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const message = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'is not UTF-8: save it as UTF-8'
      : code === 'ENOENT' ? 'can\'t be read: there is no such file'
        : code === 'EISDIR' ? 'can\'t be read: it is a folder'
          : `can't be read: ${code ?? 'unknown'}`
    throw new ConfigError([{ file, line: 0, column: 0, pointer: '', message }])
  }
}

function readSource(file: string, text: string, environment: NodeJS.ProcessEnv): SourceDocument {
  try {
    return (/^\s*\{/.test(text) ? readJson(text, environment) : null) ?? readYaml(text, environment)
  } catch (cause) {
    // The parsers call themselves for each level.
    if (!(cause instanceof RangeError)) throw cause
    throw new ConfigError([{ file, line: 1, column: 1, pointer: '', message: 'nested too deeply to be read' }])
  }
}

/** Looks up where each finding stands, and puts them in the order of the text. */
function placed(findings: readonly Finding[], source: SourceDocument, file: string, text: string): ConfigProblem[] {
  const offsets = source.locate(findings)
  const lines = new LineIndex(text)
  return findings
    .map(({ path, message }, index) => ({ offset: offsets[index]!, pointer: pointerOf(path), message }))
    .sort((left, right) => left.offset - right.offset)
    .map(({ offset, pointer, message }) => ({ file, ...lines.at(offset), pointer, message }))
}
