import fc from 'fast-check'
import t from 'tap'
import { queryValue } from '../../src/http/query.ts'

t.test('tells what URLSearchParams tells', async t => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '=', '&', '%', '+', '4', '1', 'ü'), maxLength: 20 })
  fc.assert(fc.property(piece, fc.string({ unit: fc.constantFrom('a', 'b', 'A', ' '), maxLength: 2 }), (query, name) => {
    t.equal(queryValue(query, name), new URLSearchParams(query).get(name) ?? undefined)
  }), { seed: 1, numRuns: 2000 })
})
