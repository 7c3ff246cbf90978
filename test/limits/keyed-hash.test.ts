import t from 'tap'
import { HASH, hashKey } from '../../src/limits/keyed-hash.ts'

function hashOf(text: string, seed0 = 1, seed1 = 2): string {
  hashKey(text, seed0, seed1)
  return `${HASH[0]} ${HASH[1]}`
}

t.test('texts, and seeds, that differ in little differ in their hash', async t => {
  const texts = ['', '\0', '\0\0', 'a', 'a\0', 'aa', 'ab', 'ba', 'aaa', 'a\u0100', '\u0100a', 'ä', 'x'.repeat(256), 'x'.repeat(512), '\u{1f600}']
  for (let i = 0; i < 20_000; i++) texts.push(`10.0.${i >> 8}.${i & 255}`)
  const hashes = texts.map(text => hashOf(text))
  t.equal(new Set(hashes).size, texts.length)
  t.equal(hashOf('a'), hashOf('a'))
  t.equal(new Set([hashOf('a', 1, 2), hashOf('a', 2, 1), hashOf('a', 1, 3), hashOf('a', 0, 0)]).size, 4)
})

t.test('spreads keys over the groups of a table', async t => {
  const counts = new Int32Array(256)
  for (let i = 0; i < 25_600; i++) {
    hashKey(`consumer-${i}`, 3, 4)
    counts[HASH[0]! & 255]!++
  }
  // A hundred each is expected; six standard deviations are sixty.
  t.ok(Math.min(...counts) > 40 && Math.max(...counts) < 160, `${Math.min(...counts)} to ${Math.max(...counts)}`)
})
