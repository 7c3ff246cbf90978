import type { Document } from './schema.ts'

/**
 * What the workers are given: a validated document as plain data, frozen, with the version that its content hashes to.
 * Relative file names are absolute here; `files` holds the content of every file that the document names, so that all
 * workers compile the same bytes.
 */
export type Snapshot = {
  /** Hexadecimal SHA-256 of the document and its files, first 16 characters. */
  readonly version: string
  readonly document: Document
  /** Content of PEM files by absolute name. */
  readonly files: Readonly<Record<string, string>>
}
