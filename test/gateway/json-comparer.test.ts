import { setImmediate as nextTurn } from 'node:timers/promises'
import t from 'tap'
import { isSameJson, JsonComparer, type JsonVerdict } from '../../src/gateway/json-comparer.ts'

const nested = (depth: number, inner: string): string => '['.repeat(depth) + inner + ']'.repeat(depth)

for (const { desc, first, second, want } of [
  { desc: 'the order of keys', first: '{"a":1,"b":{"c":2,"d":3}}', second: '{"b":{"d":3,"c":2},"a":1}', want: true },
  { desc: 'white space and spelling', first: '{"a":1.0, "b":"\\u0061"}', second: '{"a":1,"b":"a"}', want: true },
  { desc: 'the sign of zero', first: '[0]', second: '[-0]', want: true },
  { desc: 'a value', first: '{"a":1}', second: '{"a":2}', want: false },
  { desc: 'a type', first: '{"a":1}', second: '{"a":"1"}', want: false },
  { desc: 'null and nothing', first: '{"a":null}', second: '{}', want: false },
  { desc: 'null and an object', first: 'null', second: '{}', want: false },
  { desc: 'another key', first: '{"a":1}', second: '{"b":1}', want: false },
  { desc: 'a key that every object has', first: '{"toString":1}', second: '{"a":1}', want: false },
  { desc: 'a prototype as a key', first: '{"__proto__":{"a":1}}', second: '{"__proto__":{"a":2}}', want: false },
  { desc: 'the order of a list', first: '[1,2]', second: '[2,1]', want: false },
  { desc: 'the length of a list', first: '[1]', second: '[1,2]', want: false },
  { desc: 'a list and an object', first: '["a"]', second: '{"0":"a"}', want: false },
  { desc: 'JSON and something else', first: '{}', second: '<p>', want: false },
  { desc: 'the same text', first: '<p>', second: '<p>', want: true },
  { desc: 'two other texts', first: '<p>', second: '<b>', want: null },
  { desc: 'nothing at all', first: '', second: '', want: true },
  { desc: 'what is nested deep', first: nested(32_000, '1'), second: nested(32_000, '2'), want: false },
]) {
  t.test(`${desc}: ${want === null ? 'not compared' : want ? 'the same' : 'differs'}`, async t => {
    t.equal(isSameJson(Buffer.from(first), Buffer.from(second)), want)
    t.equal(isSameJson(Buffer.from(second), Buffer.from(first)), want)
  })
}

t.test('compares one pair a loop turn, and refuses what is too many', async t => {
  const comparer = new JsonComparer()
  const seen: JsonVerdict[] = []
  const push = (): boolean => comparer.compare(Buffer.from('1'), Buffer.from(' 1'), isSame => { seen.push(isSame) })
  const taken = Array.from({ length: 70 }, push).filter(isTaken => isTaken).length
  t.equal(taken, 64)
  t.equal(seen.length, 0, 'nothing before the turn is over')
  await nextTurn()
  t.equal(seen.length, 1)
  t.equal(push(), true, 'one that is done makes room')
  while (seen.length < 65) await nextTurn()
  t.ok(seen.every(isSame => isSame === true))
})
