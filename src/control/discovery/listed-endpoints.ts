import { type FoundEndpoint, LookupError } from './lookup-loop.ts'

/** Bound of a file or a body with a list; 10,000 entries of 400 bytes. */
export const MAX_LIST_BYTES = 4 * 1024 * 1024

/** One line of a log has to hold them. */
const MAX_PROBLEMS_TOLD = 5

/** The endpoints of a JSON list in UTF-8. LookupError with what is wrong with it, the first five problems. */
export async function listedEndpoints(bytes: Uint8Array): Promise<readonly FoundEndpoint[]> {
  // Loaded with the first list: the schema behind it would add 80 ms to every start.
  const { parseEndpointList } = await import('../../config/endpoint-list.ts')
  const list = parseEndpointList(decode(bytes))
  if ('endpoints' in list) return list.endpoints.map(endpoint => ({ ...endpoint, name: null }))
  const told = list.problems.slice(0, MAX_PROBLEMS_TOLD)
  const more = list.problems.length - told.length
  throw new LookupError(`the list is refused: ${told.join('; ')}${more > 0 ? `; and ${more} more` : ''}`)
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new LookupError('the list is refused: is not UTF-8')
  }
}

export function tooLarge(): LookupError {
  return new LookupError(`the list is refused: is larger than ${MAX_LIST_BYTES} bytes`)
}
