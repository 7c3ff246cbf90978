import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/** RFC 7518 sections 3.3 and 3.5: at least this much for RS and PS. */
const MIN_RSA_BITS = 2048
const RSA = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
/** OpenSSL's names of the curves; an ES algorithm is for one curve only (RFC 7518 section 3.4). */
const BY_CURVE: Readonly<Record<string, readonly string[]>> = { prime256v1: ['ES256'], secp384r1: ['ES384'], secp521r1: ['ES512'] }

/** A public key with what it may verify. */
export type VerificationKey = {
  /** null: it has none. */
  readonly id: string | null
  readonly key: KeyObject
  readonly algorithms: readonly string[]
}

/** The algorithms that a public key can verify; empty for a kind that no algorithm of ours is for, or one that is too short. */
export function algorithmsOf(key: KeyObject): readonly string[] {
  switch (key.asymmetricKeyType) {
    case 'rsa': return (key.asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS ? RSA : []
    case 'ec': return BY_CURVE[key.asymmetricKeyDetails?.namedCurve ?? ''] ?? []
    case 'ed25519': return ['EdDSA', 'Ed25519']
    default: return []
  }
}

/**
 * Reads a key of a JWK set; says what is wrong with it where it can't verify anything. Symmetric and private keys are
 * refused: who may read a set could sign with them.
 * Source: RFC 7517 section 4; RFC 7518 section 6.
 */
export function readJwk(jwk: Readonly<Record<string, unknown>>): VerificationKey | { readonly problem: string } {
  if (jwk.kty === 'oct' || jwk.k !== undefined) return { problem: 'is a symmetric key: use \'secret\'' }
  if (jwk.d !== undefined) return { problem: 'is a private key: give the public one' }
  if (jwk.use !== undefined && jwk.use !== 'sig') return { problem: 'is not for signatures (use)' }
  if (jwk.key_ops !== undefined && !(Array.isArray(jwk.key_ops) && jwk.key_ops.includes('verify'))) return { problem: 'is not for verifying (key_ops)' }
  if (jwk.kid !== undefined && typeof jwk.kid !== 'string') return { problem: 'has a kid that is no text' }
  const key = toKey(jwk)
  if (key === null) return { problem: 'can\'t be read: kty with n and e, or crv with x and y are expected' }
  const algorithms = algorithmsOf(key).filter(algorithm => jwk.alg === undefined || jwk.alg === algorithm)
  if (algorithms.length === 0) return { problem: 'fits no algorithm: its kind, its length or its alg' }
  return { id: jwk.kid ?? null, key, algorithms }
}

function toKey(jwk: Readonly<Record<string, unknown>>): KeyObject | null {
  try {
    return createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
  } catch {
    return null
  }
}
