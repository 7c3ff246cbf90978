import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError, type ConfigProblem } from '../../src/config/config-error.ts'
import { loadSnapshot } from '../../src/config/load.ts'
import { Random } from '../support/random.ts'

const folder = mkdtempSync(join(tmpdir(), 'penstock-refusals-'))
t.teardown(() => rmSync(folder, { recursive: true }))

/** Every document is loaded or refused with a list of problems; anything else is a fault. */
function problemsOf(text: string | Buffer): readonly ConfigProblem[] {
  const file = join(folder, 'p.yaml')
  writeFileSync(file, text)
  try {
    loadSnapshot(file, { SECRET: 'hunter2' })
    return []
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause
    return cause.problems
  }
}

const mock = 'mock: {}'
const inRoute = (text: string): string => `routes:\n  - { id: a, match: { path: /a }, ${text} }\n`
const inMatch = (text: string): string => `routes:\n  - { id: a, match: { ${text} }, mock: {} }\n`
const inUpstream = (text: string): string => `upstreams: { u: { ${text} } }\n`

// Of each: the document, where its problem stands, and what it says.
const refusals: [desc: string, text: string | Buffer, pointer: string, message: RegExp][] = [
  ['no document', '', '', /empty/],
  ['a list', '- a\n', '', /must be a mapping/],
  ['a word', 'hello\n', '', /must be a mapping/],
  ['bytes that are no UTF-8', Buffer.from([0x61, 0x3a, 0xff]), '', /UTF-8/],
  ['a key twice', 'workers: 1\nworkers: 2\n', '/workers', /./],
  ['an unclosed text', 'workers: "1\n', '', /./],
  ['a tab as indentation', 'routes:\n\t- a\n', '', /./],
  ['an unclosed mapping', '{ "workers": 1', '', /./],
  ['a fraction of a worker', 'workers: 1.5\n', '/workers', /whole number|auto/],
  ['too many workers', 'workers: 257\n', '/workers', /./],
  ['a number in quotes', 'drainTimeoutMs: "10"\n', '/drainTimeoutMs', /take the quotes off/],
  ['a text without quotes', 'routes: [{ id: 1, match: { path: /a }, mock: {} }]\n', '/routes/0/id', /put it in quotes/],
  ['no listener', 'listeners: []\n', '/listeners', /at least one entry/],
  ['an address without a port', 'listeners: [{ address: localhost }]\n', '/listeners/0/address', /port/],
  ['a port beyond 65535', 'listeners: [{ address: "127.0.0.1:70000" }]\n', '/listeners/0/address', /port/],
  ['the same address twice', 'listeners: [{ address: "127.0.0.1:1" }, { address: "127.0.0.1:1" }]\n', '/listeners/1/address', /./],
  ['a certificate that is not there', 'listeners: [{ address: "127.0.0.1:1", tls: { certificates: [{ hosts: [a], cert: no.pem, key: no.key }] } }]\n', '/listeners/0/tls/certificates/0/cert', /no such file/],
  ['a network that is none', 'trustedProxies: [10.0.0.0/40]\n', '/trustedProxies/0', /./],
  ['a share beyond the whole', 'accessLog: { sampleRatio: 2 }\n', '/accessLog/sampleRatio', /at most 1/],
  ['an upstream without endpoints', inUpstream('endpoints: []'), '/upstreams/u/endpoints', /at least one/],
  ['an endpoint that is no URL', inUpstream('endpoints: [nowhere]'), '/upstreams/u/endpoints/0', /http/],
  ['an endpoint with another scheme', inUpstream('endpoints: ["ftp://a"]'), '/upstreams/u/endpoints/0', /http/],
  ['an endpoint with a path', inUpstream('endpoints: ["http://a/b"]'), '/upstreams/u/endpoints/0', /path/],
  ['an endpoint with user and password', inUpstream('endpoints: ["http://u:p@a"]'), '/upstreams/u/endpoints/0', /./],
  ['a balance of its own', inUpstream('endpoints: ["http://a"], balance: fair'), '/upstreams/u/balance', /round-robin/],
  ['a weight of nothing', inUpstream('endpoints: [{ url: "http://a", weight: 0 }]'), '/upstreams/u/endpoints/0/weight', /at least 1/],
  ['a name server on port 0', inUpstream('discovery: { dns: "http://a:1", resolver: "127.0.0.1:0" }'), '/upstreams/u/discovery/resolver', /port 0/],
  ['a path of probes with a space', inUpstream('endpoints: ["http://a"], health: { path: /a b }'), '/upstreams/u/health/path', /%20/],
  ['a Host of probes with a line end', inUpstream('endpoints: ["http://a"], health: { host: "a\\nb" }'), '/upstreams/u/health/host', /visible ASCII/],
  ['a name of an upstream with a space', 'upstreams: { "a b": { endpoints: ["http://a"] } }\n', '/upstreams/a b', /letters/],
  ['a route without a destination', 'routes: [{ id: a, match: { path: /a } }]\n', '/routes/0', /no destination/],
  ['a route with two', `upstreams: { u: { endpoints: ["http://a"] } }\n${inRoute(`upstream: u, ${mock}`)}`, '/routes/0', /two destinations/],
  ['a route without an id', 'routes: [{ match: { path: /a }, mock: {} }]\n', '/routes/0/id', /missing/],
  ['an id twice', 'routes: [{ id: a, match: { path: /a }, mock: {} }, { id: a, match: { path: /b }, mock: {} }]\n', '/routes/1/id', /taken/],
  ['a path without its slash', inMatch('path: a'), '/routes/0/match/path', /start with/],
  ['a parameter that is not closed', inMatch('path: "/{a"'), '/routes/0/match/path', /./],
  ['a parameter twice', inMatch('path: "/{a}/{a}"'), '/routes/0/match/path', /./],
  ['a rest in the middle', inMatch('path: "/{a+}/b"'), '/routes/0/match/path', /./],
  ['a star in the middle of a host', inMatch('path: /a, hosts: ["a.*.b"]'), '/routes/0/match/hosts/0', /./],
  ['a host with a port', inMatch('path: /a, hosts: ["a:80"]'), '/routes/0/match/hosts/0', /port/],
  ['a method with a space', inMatch('path: /a, methods: ["GE T"]'), '/routes/0/match/methods/0', /method/],
  ['a header with a colon', inMatch('path: /a, headers: { "a:": x }'), '/routes/0/match/headers/a:', /header name/],
  ['Host as a condition', inMatch('path: /a, headers: { host: x }'), '/routes/0/match/headers/host', /match\.hosts/],
  ['a header value with a line end', inRoute('mock: { headers: { a: "b\\r\\nc: d" } }'), '/routes/0/mock/headers/a', /visible ASCII/],
  ['a parameter that the match has not', inRoute('request: { path: "/{b}" }, mock: {}'), '/routes/0/request/path', /./],
  ['a body where there can be none', inRoute('mock: { status: 204, body: x }'), '/routes/0/mock/body', /no body/],
  ['an interim status', inRoute('mock: { status: 101 }'), '/routes/0/mock/status', /at least 200/],
  ['a key of a later version', inRoute(`${mock}, validate: {}`), '/routes/0/validate', /not supported yet/],
  ['a name that is no name', 'upstreams: { __proto__: { endpoints: ["http://a"] } }\n', '/upstreams/__proto__', /./],
]
for (const [desc, text, pointer, message] of refusals) {
  t.test(`refuses ${desc}`, async t => {
    const problems = problemsOf(text)
    const found = problems.find(problem => problem.pointer === pointer)
    t.match(found?.message, message, JSON.stringify(problems))
    if (typeof text === 'string' && text !== '') t.ok((found?.line ?? 0) >= 1 && (found?.column ?? 0) >= 1, 'says where')
  })
}

const VALID = `listeners: [{ address: "127.0.0.1:0" }]
workers: 2
bounds: { maxBodyBytes: 100 }
upstreams:
  u: { endpoints: ["http://a:1", { url: "http://b:2", weight: 2 }], breaker: { maxPending: 1 } }
routes:
  - { id: a, match: { path: "/a/{x}", methods: [GET], hosts: ["*.b.c"] }, upstream: u, request: { path: "/{x}" } }
  - id: b
    match: { path: "/b/{rest+}", headers: { h: "\${SECRET}" } }
    mock: { status: 201, headers: { a: b }, body: "\${SECRET}" }
`

t.test('a damaged document is loaded or refused with places, never more, and tells no secret', async t => {
  t.strictSame(problemsOf(VALID), [])
  const random = new Random(20_261_126)
  const pieces = ['{', '}', '[', ']', ':', ',', '"', '\'', '\n', ' ', '  ', '\t', '&a ', '*a', '!!binary ', '- ', '${', '${SECRET}', '}', '0', '-1', '1e9', '/', 'null', '~', '|', '>', '#', '%', '\u0000', '\ud800', 'ü']
  let refused = 0
  for (let round = 0; round < 2000; round++) {
    let text = VALID
    for (let damages = 1 + random.below(3); damages > 0; damages--) {
      const at = random.below(text.length)
      switch (random.below(3)) {
        case 0: text = text.slice(0, at) + random.pick(pieces) + text.slice(at); break
        case 1: text = text.slice(0, at) + text.slice(at + 1 + random.below(8)); break
        default: text = text.slice(0, at) + text.slice(random.below(at + 1))
      }
    }
    const problems = problemsOf(text)
    if (problems.length === 0) continue
    refused++
    for (const { line, column, message } of problems) {
      if (line < 1 || column < 1 || message === '' || message.includes('hunter2')) t.fail(`round ${round}: ${line}:${column} ${message} in ${JSON.stringify(text)}`)
    }
  }
  t.ok(refused > 1000, `${refused} were refused`)
})
