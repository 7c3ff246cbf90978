import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-limits-'))
t.teardown(() => rmSync(folder, { recursive: true }))

const load = (text: string) => {
  const file = join(folder, 'p.yaml')
  writeFileSync(file, `routes:\n  - { id: a, match: { path: /a }, mock: {}, ${text} }\n`)
  return loadSnapshot(file, { SECRET: 'header:connection', NAME: 'hunter2' })
}
const limit = (text: string): string => `limits: [{ requestsPerSecond: 10, burstRequests: 20, ${text} }]`

t.test('fills the defaults in', async t => {
  const { document } = load(`${limit('')}, maxConcurrent: { requests: 3 }`)
  t.strictSame(document.routes[0]!.limits, [{
    name: 'default', requestsPerSecond: 10, burstRequests: 20, key: 'consumer', onStoreFailure: 'local', maxNodes: 1, cost: 1, shadow: false, ipv6PrefixBits: 64,
  }])
  t.strictSame(document.routes[0]!.maxConcurrent, { requests: 3, key: 'consumer', ipv6PrefixBits: 64 })
})

t.test('takes what the contract names', async t => {
  const { document } = load('limits: [{ name: default, requestsPerSecond: 50, burstRequests: 100, key: consumer, onStoreFailure: local, maxNodes: 4 }, { name: b, requestsPerSecond: 0.1, burstRequests: 1, key: "header:x-tenant", onStoreFailure: deny }], maxConcurrent: { requests: 10, key: consumer }')
  t.equal(document.routes[0]!.limits!.length, 2)
})

for (const [desc, text, pointer, message] of [
  ['a rate of nothing', 'limits: [{ requestsPerSecond: 0, burstRequests: 1 }]', '/limits/0/requestsPerSecond', /at least 0.000001/],
  ['a burst of nothing', 'limits: [{ requestsPerSecond: 1, burstRequests: 0 }]', '/limits/0/burstRequests', /at least 1/],
  ['a burst that a word does not hold', 'limits: [{ requestsPerSecond: 1, burstRequests: 1000001 }]', '/limits/0/burstRequests', /at most/],
  ['no rate', 'limits: [{ burstRequests: 1 }]', '/limits/0/requestsPerSecond', /missing/],
  ['no limits', 'limits: []', '/limits', /at least one/],
  ['a key of its own', limit('key: cookie'), '/limits/0/key', /consumer, ip, route or header:NAME/],
  ['a header without a name', limit('key: "header:"'), '/limits/0/key', /header:NAME/],
  ['a header that never arrives', limit('key: "header:Connection"'), '/limits/0/key', /always absent/],
  ['the same name twice', 'limits: [{ requestsPerSecond: 1, burstRequests: 1 }, { requestsPerSecond: 2, burstRequests: 1 }]', '/limits/1/name', /taken by \/routes\/0\/limits\/0/],
  ['a name that needs quoting', limit('name: "a;b"'), '/limits/0/name', /letters/],
  ['a cost beyond the burst', limit('cost: 21'), '/limits/0/cost', /burstRequests/],
  ['a burst that takes years', 'limits: [{ requestsPerSecond: 0.001, burstRequests: 100000 }]', '/limits/0/requestsPerSecond', /30 days/],
  ['nodes without a use for them', limit('onStoreFailure: deny, maxNodes: 3'), '/limits/0/maxNodes', /onStoreFailure: local/],
  ['no request at a time', 'maxConcurrent: { requests: 0 }', '/maxConcurrent/requests', /at least 1/],
  ['a key of maxConcurrent that never arrives', 'maxConcurrent: { requests: 1, key: "header:te" }', '/maxConcurrent/key', /always absent/],
] as const) {
  t.test(`refuses ${desc}`, async t => {
    let problems: ConfigError['problems'] = []
    try {
      load(text)
    } catch (cause) {
      problems = (cause as ConfigError).problems
    }
    t.match(problems.find(problem => problem.pointer === `/routes/0${pointer}`)?.message, message, JSON.stringify(problems))
  })
}

t.test('tells no variable', async t => {
  t.throws(() => load('limits: [{ requestsPerSecond: 1, burstRequests: 1, key: "${SECRET}" }, { requestsPerSecond: 1, burstRequests: 1, name: "${NAME}" }, { requestsPerSecond: 1, burstRequests: 1, name: "${NAME}" }]'), ConfigError)
  try {
    load('limits: [{ requestsPerSecond: 1, burstRequests: 1, key: "${SECRET}" }, { requestsPerSecond: 1, burstRequests: 1, name: "${NAME}" }, { requestsPerSecond: 1, burstRequests: 1, name: "${NAME}" }]')
  } catch (cause) {
    t.notMatch(JSON.stringify((cause as ConfigError).problems), /hunter2|header:connection/)
  }
})
