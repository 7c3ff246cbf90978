/**
 * A 32-bit hash of a text, as a signed integer: MurmurHash3 (x86, 32 bits) over its UTF-16 code units, two a block; the
 * same as over its bytes in UTF-16LE. Allocates nothing. It spreads values, and protects nothing: whoever picks the text
 * can pick its hash too. Every gateway and every later version must give the same, or clients change their place.
 * Source: Austin Appleby, MurmurHash3 (SMHasher).
 */
export function stringHash(text: string, seed: number): number {
  const { length } = text
  const even = length & ~1
  let hash = seed
  for (let i = 0; i < even; i += 2) {
    hash ^= scramble(text.charCodeAt(i) | text.charCodeAt(i + 1) << 16)
    hash = Math.imul(hash << 13 | hash >>> 19, 5) + 0xe6546b64 | 0
  }
  if (even !== length) hash ^= scramble(text.charCodeAt(even))
  return mix(hash ^ length * 2)
}

/** The finish of MurmurHash3: every bit of the number bears on every bit of what comes out. A bijection. */
export function mix(hash: number): number {
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b)
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35)
  return hash ^ hash >>> 16
}

/** A hash as a number from 0 to below 1. */
export function unitOf(hash: number): number {
  return (hash >>> 0) / 4_294_967_296
}

function scramble(block: number): number {
  block = Math.imul(block, 0xcc9e2d51)
  return Math.imul(block << 15 | block >>> 17, 0x1b873593)
}
