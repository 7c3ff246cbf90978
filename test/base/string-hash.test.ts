import t from 'tap'
import { stringHash, unitOf } from '../../src/base/string-hash.ts'

// Vectors of MurmurHash3 x86_32 whose length is even, as two bytes a code unit.
for (const { desc, text, seed, want } of [
  { desc: 'nothing', text: '', seed: 0, want: 0 },
  { desc: 'nothing, with a seed', text: '', seed: 1, want: 0x514e28b7 },
  { desc: 'nothing, with every bit of a seed', text: '', seed: 0xffffffff, want: 0x81f16f39 },
  { desc: 'a block of ones', text: '\uffff\uffff', seed: 0, want: 0x76293b50 },
  { desc: 'a block', text: '\u4321\u8765', seed: 0, want: 0xf55b516b },
  { desc: 'a block, with a seed', text: '\u4321\u8765', seed: 0x5082edee, want: 0x2362f9de },
  { desc: 'half a block', text: '\u4321', seed: 0, want: 0xa0f7b07a },
  { desc: 'a block of zeros', text: '\0\0', seed: 0, want: 0x2362f9de },
  { desc: 'half a block of zeros', text: '\0', seed: 0, want: 0x30f4c306 },
]) {
  t.test(`hashes as MurmurHash3 does: ${desc}`, async t => {
    t.equal(stringHash(text, seed) >>> 0, want)
  })
}

t.test('each bit of the hash of counted names is set in half of them', async t => {
  const count = 20_000
  const ones = new Array<number>(32).fill(0)
  for (let i = 0; i < count; i++) {
    const hash = stringHash(`user-${i}`, 7)
    for (let bit = 0; bit < 32; bit++) if (hash >>> bit & 1) ones[bit]!++
  }
  for (const n of ones) t.ok(Math.abs(n / count - 0.5) < 0.02)
})

t.test('another seed is another order', async t => {
  let below = 0
  for (let i = 0; i < 10_000; i++) if (unitOf(stringHash(`${i}`, 1)) < unitOf(stringHash(`${i}`, 2))) below++
  t.ok(Math.abs(below - 5000) < 250)
})

t.test('a unit is at least 0 and below 1', async t => {
  t.equal(unitOf(0), 0)
  t.equal(unitOf(-1), 0xffffffff / 0x100000000)
})
