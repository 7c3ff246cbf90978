const POLYNOMIAL = 0x1021
export const SLOT_COUNT = 16_384

const TABLE = Uint16Array.from({ length: 256 }, (_none, byte) => {
  let sum = byte << 8
  for (let bit = 0; bit < 8; bit += 1) sum = (sum & 0x8000) === 0 ? sum << 1 : sum << 1 ^ POLYNOMIAL
  return sum & 0xffff
})

/**
 * The slot of a Redis Cluster that a key belongs to: CRC16 (XMODEM) of its hash tag, the text between the first `{` and
 * the next `}`, or of the whole key where there is none or it is empty.
 * Source: Redis Cluster specification, "Key distribution model".
 */
export function keySlot(key: string): number {
  const open = key.indexOf('{')
  const close = open === -1 ? -1 : key.indexOf('}', open + 1)
  const hashed = close > open + 1 ? key.slice(open + 1, close) : key
  let sum = 0
  for (const byte of Buffer.from(hashed)) sum = (sum << 8 ^ TABLE[(sum >> 8 ^ byte) & 0xff]!) & 0xffff
  return sum % SLOT_COUNT
}
