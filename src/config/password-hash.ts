/** Parameters of scrypt (RFC 7914) with what it came to. */
export type PasswordHash = {
  /** N, a power of two. */
  readonly cost: number
  readonly blockSize: number
  readonly parallelization: number
  readonly salt: Buffer
  readonly hash: Buffer
}

/** Memory of one run in bytes: 128 * N * r. Four of 64 MiB are what a gateway can spare. */
export const MAX_SCRYPT_BYTES = 67_108_864

/** Reads `scrypt:LOG2N:R:P:SALT:HASH`, whose form the schema has checked. */
export function readPasswordHash(text: string): PasswordHash {
  const [, logCost = '', blockSize = '', parallelization = '', salt = '', hash = ''] = text.split(':')
  return {
    cost: 2 ** Number(logCost), blockSize: Number(blockSize), parallelization: Number(parallelization),
    // Takes both alphabets.
    salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64'),
  }
}

/** The null when scrypt can run with them. */
export function problemOfHash({ cost, blockSize, parallelization }: PasswordHash): string | null {
  if (cost < 2 || blockSize < 1 || parallelization < 1) return 'has a cost, a block size or a parallelization of none'
  if (128 * cost * blockSize > MAX_SCRYPT_BYTES) return 'takes more than 64 MiB: lower LOG2N or R'
  if (parallelization > 16) return 'has a parallelization above 16'
  return null
}
