import { Worker } from 'node:worker_threads'
import t from 'tap'
import { NonceTable, nonceTableBytes } from '../../../src/policies/auth/nonce-table.ts'
import { Random } from '../../support/random.ts'

t.test('sizes are powers of two, with room for four times as many', async t => {
  t.equal(nonceTableBytes(1), 32 * 8)
  t.equal(nonceTableBytes(1000), 4096 * 8)
  t.equal(nonceTableBytes(100_000), 524_288 * 8)
})

t.test('fresh once, seen until it may be forgotten, then fresh again', async t => {
  const table = new NonceTable(new SharedArrayBuffer(nonceTableBytes(1000)))
  t.equal(table.claim('a', 10_000, 20_000), 'fresh')
  t.equal(table.claim('a', 10_000, 20_000), 'seen')
  t.equal(table.claim('b', 10_000, 20_000), 'fresh')
  t.equal(table.claim('a', 20_999, 30_000), 'seen')
  t.equal(table.claim('a', 22_000, 32_000), 'fresh')
})

t.test('as many as it is for, all random, are fresh; and their places come back', async t => {
  const random = new Random(11)
  const table = new NonceTable(new SharedArrayBuffer(nonceTableBytes(20_000)))
  for (let round = 0; round < 3; round++) {
    const at = 1_000_000 + round * 100_000
    for (let i = 0; i < 20_000; i++) {
      const claim = table.claim(`${random.next()}-${i}`, at, at + 60_000)
      if (claim !== 'fresh') return t.fail(`${claim} at ${i} of round ${round}`)
    }
  }
  t.pass()
})

t.test('of several threads that claim the same nonces each is fresh to one at most', async t => {
  const memory = new SharedArrayBuffer(nonceTableBytes(4000))
  const gate = new SharedArrayBuffer(4)
  const counts = new SharedArrayBuffer(4 * 4000)
  const source = `
    const { workerData } = require('node:worker_threads')
    const { memory, gate, counts, url } = workerData
    import(url).then(({ NonceTable }) => {
      const table = new NonceTable(memory)
      Atomics.add(new Int32Array(gate), 0, 1)
      while (Atomics.load(new Int32Array(gate), 0) < 3) {}
      const fresh = new Int32Array(counts)
      for (let i = 0; i < 4000; i++) if (table.claim('nonce-' + i, 1000000, 1060000) === 'fresh') Atomics.add(fresh, i, 1)
    })`
  const url = new URL('../../../src/policies/auth/nonce-table.js', import.meta.url).href
  await Promise.all(Array.from({ length: 3 }, () => new Promise((resolve, reject) => {
    new Worker(source, { eval: true, workerData: { memory, gate, counts, url } }).once('exit', resolve).once('error', reject)
  })))
  const fresh = [...new Int32Array(counts)]
  t.equal(Math.max(...fresh), 1)
  t.ok(fresh.filter(count => count === 1).length > 3900, 'and hardly any to none')
})
