import type { Document, RouteConfig } from '../config/schema.ts'
import type { CompileSource } from '../gateway/compile.ts'
import type { SnapshotParts } from '../protocol/messages.ts'

/** Reads a snapshot piece by piece out of shared memory; each piece is parsed when its turn comes. */
export function snapshotSource(parts: SnapshotParts): CompileSource {
  const bytes = Buffer.from(parts.bytes)
  const piece = (index: number): unknown => JSON.parse(bytes.toString('utf8', parts.ends[index - 1] ?? 0, parts.ends[index]))
  const { document, files } = piece(0) as { document: Omit<Document, 'routes'>; files: Record<string, string> }
  return {
    version: parts.version,
    document,
    files,
    * routeLists() {
      for (let index = 1; index < parts.ends.length; index++) yield piece(index) as RouteConfig[]
    },
  }
}
