import { createHash, randomBytes } from 'node:crypto'
import type { KeyRecord } from './identity-store.ts'

/** So that a key is recognised where it does not belong: in a log, in a repository. */
const PREFIX = 'pk_'

/** A new key with 256 bits of chance; `secret` is the key itself, to be shown once and kept nowhere. */
export function newApiKey(): { readonly secret: string } & Pick<KeyRecord, 'digest' | 'prefix' | 'lastFour'> {
  const secret = PREFIX + randomBytes(32).toString('base64url')
  return { secret, digest: digestOf(secret), prefix: PREFIX, lastFour: secret.slice(-4) }
}

/** No salt and no slow hash: there is nothing to guess in 256 bits, and a worker does this for each new key it meets. */
export function digestOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}
