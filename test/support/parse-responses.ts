import type { Failure } from '../../src/base/failure.ts'
import type { ParsedHead } from '../../src/upstream/response-head.ts'
import { type ResponseEvents, ResponseParser } from '../../src/upstream/response-parser.ts'

export type ParsedResponse = {
  status: number
  headers: [string, string][]
  body: Buffer
  isComplete: boolean
  isKeptAlive: boolean | null
}

/** Everything that the parser makes of `pieces`; each is its own read, in one buffer that is used again and again. */
export function parseResponses(
  pieces: readonly Buffer[], options: { methods?: readonly string[]; ends?: boolean; maxHeadBytes?: number } = {},
): { responses: ParsedResponse[]; failure: Failure | null } {
  const methods = [...(options.methods ?? ['GET'])]
  const responses: ParsedResponse[] = []
  const events: ResponseEvents = {
    awaitedMethod: () => methods[0] ?? null,
    onHead(head: ParsedHead, chunk: Buffer) {
      const lines = head.toHeaders().lines
      const headers: [string, string][] = []
      for (let i = 0; i < lines.length; i += 2) headers.push([lines[i]!, lines[i + 1]!])
      responses.push({ status: head.status, headers, body: Buffer.from(chunk), isComplete: false, isKeptAlive: null })
    },
    onBody(chunk: Buffer) {
      const current = responses.at(-1)!
      current.body = Buffer.concat([current.body, chunk])
    },
    onComplete(isKeptAlive: boolean) {
      const current = responses.at(-1)!
      current.isComplete = true
      current.isKeptAlive = isKeptAlive
      methods.shift()
    },
  }
  const parser = new ResponseParser(events, options.maxHeadBytes ?? 32_768)
  const buffer = Buffer.alloc(Math.max(1, ...pieces.map(piece => piece.length)))
  for (const piece of pieces) {
    // What is kept beyond the call must have been copied: the next read overwrites it.
    buffer.fill(0x5a)
    piece.copy(buffer)
    const failure = parser.execute(buffer, piece.length)
    if (failure) return { responses, failure }
  }
  return { responses, failure: options.ends ? parser.finish() : null }
}

/** Every way to cut `bytes` into two, and byte by byte. */
export function* cuts(bytes: Buffer): Generator<Buffer[]> {
  yield [bytes]
  for (let at = 1; at < bytes.length; at++) yield [bytes.subarray(0, at), bytes.subarray(at)]
  yield Array.from(bytes, byte => Buffer.from([byte]))
}
