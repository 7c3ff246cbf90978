import { readdirSync } from 'node:fs'
import t, { type Test } from 'tap'
import { AdminApi, type AdminAnswer } from '../../support/admin-api.ts'
import { mismatches } from '../../support/json-schema.ts'
import { sendRaw } from '../../support/raw.ts'

const TOKEN = 'correct-horse-battery'

type Operation = {
  operationId: string; parameters?: { name: string; in: string; required: boolean }[]
  responses: Record<string, { content: Record<string, { schema: object }> }>
}
type Description = { openapi: string; paths: Record<string, Record<string, Operation>>; security: object[] }

function isProblem(t: Test, { status, headers, body }: AdminAnswer, want: number, code: string): void {
  t.equal(status, want)
  t.equal(headers['content-type'], 'application/problem+json')
  t.match(body, { type: 'about:blank', title: String, status: want, code, detail: String })
}

t.test('consumers and keys: made, shown, revoked', async t => {
  const api = await AdminApi.start(t)
  const consumer = await api.ask('POST', '/admin/consumers', { body: { id: 'acme', plan: 'gold', groups: ['a', 'b', 'a'] } })
  t.equal(consumer.status, 201)
  t.equal(consumer.headers['location'], '/admin/consumers/acme')
  t.strictSame(consumer.body, { id: 'acme', plan: 'gold', groups: ['a', 'b'], source: 'store', createdAt: '2030-01-01T00:00:00.000Z' })
  t.strictSame((await api.ask('GET', '/admin/consumers/acme')).body, consumer.body)

  const { body: key, status, headers } = await api.ask('POST', '/admin/consumers/acme/keys', { body: { expiresAt: '2030-06-01T00:00:00+02:00' } })
  t.equal(status, 201)
  t.equal(headers['cache-control'], 'no-store')
  t.match(key, { id: /^key_[0-9a-f]{16}$/, key: /^pk_[\w-]{43}$/, consumer: 'acme', plan: null, state: 'valid', expiresAt: '2030-05-31T22:00:00.000Z' })
  const { key: secret, ...shown } = key as { key: string; id: string; lastFour: string }
  t.equal(secret.slice(-4), shown.lastFour)

  const list = await api.ask('GET', '/admin/consumers/acme/keys')
  t.strictSame(list.body, { items: [shown], next: null })
  t.strictSame((await api.ask('GET', '/admin/keys')).body, { items: [shown], next: null })
  api.nowMs += 1000
  const revoked = await api.ask('DELETE', `/admin/keys/${shown.id}`)
  t.equal(revoked.status, 200)
  t.strictSame(revoked.body, { ...shown, state: 'revoked', revokedAt: '2030-01-01T00:00:01.000Z' })
  t.strictSame((await api.ask('DELETE', `/admin/keys/${shown.id}`)).body, revoked.body, 'once more is no error')
  t.strictSame(api.audit, [
    { event: 'consumerCreated', consumer: 'acme', plan: 'gold' },
    { event: 'keyCreated', key: shown.id, consumer: 'acme', plan: null, expiresAt: '2030-06-01T00:00:00+02:00' },
    { event: 'keyRevoked', key: shown.id, consumer: 'acme' },
  ])
})

t.test('neither a key nor its digest is shown after its creation', async t => {
  const api = await AdminApi.start(t)
  const made = await api.ask('POST', '/admin/consumers/declared/keys')
  const { key, id } = made.body as { key: string; id: string }
  const { digest } = api.store.key(id)!
  t.notMatch(made.text, digest)
  const answers = [
    await api.ask('GET', '/admin/keys'), await api.ask('GET', '/admin/consumers/declared/keys'), await api.ask('GET', '/admin/consumers'),
    await api.ask('GET', '/admin/consumers/declared'), await api.ask('GET', '/admin/status'), await api.ask('DELETE', `/admin/keys/${id}`),
  ]
  for (const { text } of answers) {
    t.notMatch(text, digest)
    t.notMatch(text, key.slice(3, -4))
    t.notMatch(text, 'a'.repeat(64), 'nor one of the document')
  }
})

t.test('a key expires by itself', async t => {
  const api = await AdminApi.start(t)
  await api.ask('POST', '/admin/consumers/declared/keys', { body: { expiresAt: '2030-01-01T00:00:01Z' } })
  const stateOf = async (): Promise<unknown> => ((await api.ask('GET', '/admin/keys')).body['items'] as { state: string }[])[0]?.state
  t.equal(await stateOf(), 'valid')
  api.nowMs += 1000
  t.equal(await stateOf(), 'expired')
})

t.test('consumers of the document and of the store in one list, page by page', async t => {
  const api = await AdminApi.start(t)
  api.declared = { consumers: [{ id: 'm' }, { id: 'c' }, { id: 'x' }], plans: null }
  for (const id of ['c', 'a', 'z', 'n', 'b', 'x']) await api.store.createConsumer({ id, plan: null, groups: [] })
  for (const limit of [1, 2, 3, 7, 8]) {
    const seen: string[] = []
    let after: string | null = null
    let pages = 0
    do {
      const { body } = await api.ask('GET', `/admin/consumers?limit=${limit}${after === null ? '' : `&after=${after}`}`) as { body: { items?: { id: string; source: string }[]; next?: string | null } }
      seen.push(...body.items!.map(({ id, source }) => `${id} ${source}`))
      after = body.next!
      pages++
    } while (after !== null)
    t.strictSame(seen, ['a store', 'b store', 'c document', 'm document', 'n store', 'x document', 'z store'], `limit ${limit}`)
    t.equal(pages, Math.ceil(7 / limit))
  }
})

t.test('status', async t => {
  const api = await AdminApi.start(t)
  const { body } = await api.ask('GET', '/admin/status')
  t.match(body, { version: '0123456789abcdef', workers: { configured: 2, ready: 1 }, upstreams: { users: { endpoints: [{ url: 'http://10.0.0.1:3000', isHealthy: false }] } } })
})

const BIG = Buffer.alloc(65_537, 0x20)
for (const { desc, method, path, body, headers, want, code, detail } of [
  { desc: 'a path that is not there', method: 'GET', path: '/admin/nothing', want: 404, code: 'ADMIN_NOT_FOUND' },
  { desc: 'the root', method: 'GET', path: '/', want: 404, code: 'ADMIN_NOT_FOUND' },
  { desc: 'another method', method: 'PUT', path: '/admin/consumers', body: '{}', want: 405, code: 'ADMIN_METHOD_NOT_ALLOWED', detail: /GET, HEAD, POST/ },
  { desc: 'another method on a path with a parameter', method: 'DELETE', path: '/admin/consumers/a?x=1', want: 405, code: 'ADMIN_METHOD_NOT_ALLOWED', detail: /GET, HEAD/ },
  { desc: 'the preflight of another origin', method: 'OPTIONS', path: '/admin/consumers', want: 405, code: 'ADMIN_METHOD_NOT_ALLOWED' },
  { desc: 'a path that is wrongly encoded', method: 'GET', path: '/admin/%zz', want: 400, code: 'ADMIN_BAD_REQUEST' },
  { desc: 'no body', method: 'POST', path: '/admin/consumers', want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/body: must be object/ },
  { desc: 'a body that is no JSON', method: 'POST', path: '/admin/consumers', body: '{"id":', want: 400, code: 'ADMIN_BAD_REQUEST', detail: /JSON/ },
  { desc: 'a body that sets a prototype', method: 'POST', path: '/admin/consumers', body: '{"id":"a","__proto__":{"plan":"gold"}}', want: 400, code: 'ADMIN_BAD_REQUEST' },
  { desc: 'an array', method: 'POST', path: '/admin/consumers', body: '[]', want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/body: must be object/ },
  { desc: 'a number as id', method: 'POST', path: '/admin/consumers', body: { id: 1 }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/body\/id: must be string/ },
  { desc: 'an id with a slash', method: 'POST', path: '/admin/consumers', body: { id: 'a/b' }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/body\/id: must match/ },
  { desc: 'a member that is not known', method: 'POST', path: '/admin/consumers', body: { id: 'a', plans: 'gold' }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /'plans' is not known here/ },
  { desc: 'an empty group', method: 'POST', path: '/admin/consumers', body: { id: 'a', groups: [''] }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/body\/groups\/0/ },
  { desc: 'a consumer of the document', method: 'POST', path: '/admin/consumers', body: { id: 'declared' }, want: 409, code: 'ADMIN_CONSUMER_EXISTS', detail: /in the document/ },
  { desc: 'a consumer of the store', method: 'POST', path: '/admin/consumers', body: { id: 'stored' }, want: 409, code: 'ADMIN_CONSUMER_EXISTS' },
  { desc: 'a plan that the document has not', method: 'POST', path: '/admin/consumers', body: { id: 'a', plan: 'iron' }, want: 422, code: 'ADMIN_UNKNOWN_PLAN', detail: /'gold', 'silver'/ },
  { desc: 'a plan of a key that the document has not', method: 'POST', path: '/admin/consumers/stored/keys', body: { plan: 'iron' }, want: 422, code: 'ADMIN_UNKNOWN_PLAN' },
  { desc: 'another media type', method: 'POST', path: '/admin/consumers', body: 'id=a', headers: { 'content-type': 'application/x-www-form-urlencoded' }, want: 415, code: 'ADMIN_MEDIA_TYPE' },
  { desc: 'text, as a page of another origin may send it', method: 'POST', path: '/admin/consumers', body: '{"id":"a"}', headers: { 'content-type': 'text/plain' }, want: 415, code: 'ADMIN_MEDIA_TYPE' },
  { desc: 'a body that is too large', method: 'POST', path: '/admin/consumers', body: BIG, want: 413, code: 'ADMIN_BODY_TOO_LARGE' },
  { desc: 'a consumer that nobody knows', method: 'GET', path: '/admin/consumers/nobody', want: 404, code: 'ADMIN_UNKNOWN_CONSUMER', detail: /'nobody'/ },
  { desc: 'keys of a consumer that nobody knows', method: 'GET', path: '/admin/consumers/nobody/keys', want: 404, code: 'ADMIN_UNKNOWN_CONSUMER' },
  { desc: 'a key for a consumer that nobody knows', method: 'POST', path: '/admin/consumers/nobody/keys', want: 404, code: 'ADMIN_UNKNOWN_CONSUMER' },
  { desc: 'a key that has expired before it is made', method: 'POST', path: '/admin/consumers/stored/keys', body: { expiresAt: '2030-01-01T00:00:00Z' }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /in the future/ },
  { desc: 'a time that is none', method: 'POST', path: '/admin/consumers/stored/keys', body: { expiresAt: 'tomorrow' }, want: 400, code: 'ADMIN_BAD_REQUEST', detail: /date-time/ },
  { desc: 'a third key', method: 'POST', path: '/admin/consumers/full/keys', want: 409, code: 'ADMIN_TOO_MANY_KEYS', detail: /revoke one first/ },
  { desc: 'a key that is not there', method: 'DELETE', path: '/admin/keys/key_0', want: 404, code: 'ADMIN_UNKNOWN_KEY' },
  { desc: 'an id of a key that can be none', method: 'DELETE', path: '/admin/keys/a%20b', want: 400, code: 'ADMIN_BAD_REQUEST' },
  { desc: 'a page of nothing', method: 'GET', path: '/admin/keys?limit=0', want: 400, code: 'ADMIN_BAD_REQUEST', detail: /1 to 1000/ },
  { desc: 'a page too large', method: 'GET', path: '/admin/keys?limit=1001', want: 400, code: 'ADMIN_BAD_REQUEST' },
  { desc: 'two limits', method: 'GET', path: '/admin/keys?limit=1&limit=2', want: 400, code: 'ADMIN_BAD_REQUEST' },
  { desc: 'a parameter that is not known', method: 'GET', path: '/admin/consumers?offset=1', want: 400, code: 'ADMIN_BAD_REQUEST', detail: /^\/query\/offset/ },
  { desc: 'a name that was rebound', method: 'GET', path: '/admin/status', headers: { host: 'evil.example' }, want: 403, code: 'ADMIN_FORBIDDEN' },
  { desc: 'a page of another origin', method: 'POST', path: '/admin/consumers/stored/keys', headers: { origin: 'http://evil.example' }, want: 403, code: 'ADMIN_FORBIDDEN' },
]) {
  t.test(`refuses ${desc}: ${want}, and changes nothing`, async t => {
    const api = await AdminApi.start(t)
    await api.store.createConsumer({ id: 'stored', plan: null, groups: [] })
    for (const digit of ['0', '1']) await api.store.createKey({ digest: digit.repeat(64), prefix: 'pk_', lastFour: 'abcd', consumerId: 'full', plan: null, expiresAtMs: null })
    await api.store.createConsumer({ id: 'full', plan: null, groups: [] })
    let changes = 0
    api.store.onChange = () => changes++
    const answer = await api.ask(method, path, { ...(body === undefined ? {} : { body }), ...(headers === undefined ? {} : { headers: headers as Record<string, string> }) })
    isProblem(t, answer, want, code)
    if (detail !== undefined) t.match(answer.body['detail'], detail)
    if (want === 405) t.match(answer.headers['allow'], /GET, HEAD/)
    t.equal(changes, 0)
    t.strictSame(api.faults, [])
  })
}

t.test('with a token, nothing is told to those who do not have it', async t => {
  const api = await AdminApi.start(t, TOKEN)
  for (const path of ['/admin/status', '/admin/keys', '/openapi.json', '/nothing']) {
    const answer = await api.ask('GET', path)
    isProblem(t, answer, 401, 'ADMIN_UNAUTHORIZED')
    t.match(answer.headers['www-authenticate'], /^Bearer /)
    t.equal((await api.ask('GET', path, { headers: { authorization: 'Bearer wrong' } })).status, 401)
  }
  isProblem(t, await api.ask('POST', '/admin/consumers', { body: BIG }), 401, 'ADMIN_UNAUTHORIZED')
  t.equal((await api.ask('GET', '/admin/status', { headers: { authorization: `Bearer ${TOKEN}`, host: 'gateway.example' } })).status, 200)
})

t.test('bytes that are no HTTP get an answer, and the server goes on', async t => {
  const api = await AdminApi.start(t)
  const { bytes } = await sendRaw(api.port, ['\x16\x03\x01 hello\r\n\r\n'])
  t.match(bytes, /^HTTP\/1\.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n/)
  t.equal((await api.ask('GET', '/admin/status')).status, 200)
})

t.test('a store that can\'t write is a 500 and a line in the log, without what is inside', async t => {
  const api = await AdminApi.start(t)
  await api.store.close()
  const answer = await api.ask('POST', '/admin/consumers', { body: { id: 'acme' } })
  isProblem(t, answer, 500, 'ADMIN_INTERNAL')
  t.notMatch(answer.text, /closed/)
  t.match(api.faults, [{ event: 'adminFault', problem: /closed/ }])
})

t.test('HEAD answers as GET, without the body', async t => {
  const api = await AdminApi.start(t)
  const { status, text, headers } = await api.ask('HEAD', '/admin/status')
  t.match({ status, text }, { status: 200, text: '' })
  t.ok(Number(headers['content-length']) > 0)
})

/** What fastify serves, as it prints it: a tree, one part of a path a line. */
function routesOf(printed: string): Set<string> {
  const found = new Set<string>()
  const parts: string[] = []
  for (const line of printed.trimEnd().split('\n')) {
    const [, indent = '', path = '', methods] = /^([ │├└─]*)(\S*)(?: \(([A-Z, ]+)\))?/.exec(line) ?? []
    const depth = indent.length / 4 - 1
    parts.length = depth
    parts[depth] = path
    for (const method of methods?.split(', ') ?? []) if (method !== 'HEAD') found.add(`${method} ${parts.join('')}`)
  }
  return found
}

t.test('the description names every route of the server, and no other', async t => {
  const api = await AdminApi.start(t)
  const description = (await api.ask('GET', '/openapi.json')).body as Description
  t.equal(description.openapi, '3.1.0')
  t.strictSame(description.security, [])
  const described = Object.entries(description.paths).flatMap(([path, operations]) => (
    Object.keys(operations).map(method => `${method.toUpperCase()} ${path.replace(/\{(\w+)\}/g, ':$1')}`)
  ))
  const served = routesOf(api.server.printRoutes({ commonPrefix: false }))
  t.strictSame(new Set(described), served)
  t.equal(served.size, 9)
  for (const [path, operations] of Object.entries(description.paths)) {
    const names = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name)
    for (const { operationId, parameters = [] } of Object.values(operations)) {
      t.match(operationId, /^[a-z]\w+$/)
      t.strictSame(parameters.filter(each => each.in === 'path' && each.required).map(({ name }) => name), names, path)
    }
  }
  const ids = Object.values(description.paths).flatMap(operations => Object.values(operations).map(({ operationId }) => operationId))
  t.equal(new Set(ids).size, ids.length, 'no operationId twice')
})

t.test('with a token, the description says so', async t => {
  const api = await AdminApi.start(t, TOKEN)
  const { body } = await api.ask('GET', '/openapi.json', { headers: { authorization: `Bearer ${TOKEN}` } })
  t.strictSame(body['security'], [{ token: [] }])
})

t.test('what is answered is what the description says, of successes and of refusals', async t => {
  const api = await AdminApi.start(t)
  const description = (await api.ask('GET', '/openapi.json')).body as Description
  const made = await api.ask('POST', '/admin/consumers/declared/keys', { body: {} })
  const calls: [method: string, path: string, pattern: string, body?: object][] = [
    ['GET', '/admin/status', '/admin/status'],
    ['POST', '/admin/consumers', '/admin/consumers', { id: 'acme', plan: null }],
    ['POST', '/admin/consumers', '/admin/consumers', { id: 'acme' }],
    ['POST', '/admin/consumers', '/admin/consumers', { id: 'b', plan: 'iron' }],
    ['POST', '/admin/consumers', '/admin/consumers', {}],
    ['GET', '/admin/consumers', '/admin/consumers'],
    ['GET', '/admin/consumers?limit=x', '/admin/consumers'],
    ['GET', '/admin/consumers/acme', '/admin/consumers/{id}'],
    ['GET', '/admin/consumers/nobody', '/admin/consumers/{id}'],
    ['POST', '/admin/consumers/acme/keys', '/admin/consumers/{id}/keys', {}],
    ['POST', '/admin/consumers/acme/keys', '/admin/consumers/{id}/keys', { expiresAt: null }],
    ['POST', '/admin/consumers/acme/keys', '/admin/consumers/{id}/keys', {}],
    ['GET', '/admin/consumers/acme/keys', '/admin/consumers/{id}/keys'],
    ['GET', '/admin/keys', '/admin/keys'],
    ['DELETE', `/admin/keys/${String(made.body['id'])}`, '/admin/keys/{id}'],
    ['DELETE', '/admin/keys/key_0', '/admin/keys/{id}'],
    ['GET', '/openapi.json', '/openapi.json'],
  ]
  for (const [method, path, pattern, body] of calls) {
    const answer = await api.ask(method, path, body === undefined ? {} : { body })
    const type = String(answer.headers['content-type'])
    const schema = description.paths[pattern]?.[method.toLowerCase()]?.responses[answer.status]?.content[type]?.schema
    t.ok(schema, `${method} ${pattern} ${answer.status} ${type} is described`)
    t.strictSame(mismatches(schema ?? {}, answer.body, description), [], `${method} ${path}: ${answer.text}`)
  }
})

t.test('many writers at once: each is answered, none is lost', async t => {
  const api = await AdminApi.start(t)
  const ids = Array.from({ length: 40 }, (_, index) => `consumer-${index}`)
  const answers = await Promise.all(ids.flatMap(id => [api.ask('POST', '/admin/consumers', { body: { id } }), api.ask('POST', '/admin/consumers', { body: { id } })]))
  t.equal(answers.filter(({ status }) => status === 201).length, 40)
  t.equal(answers.filter(({ status }) => status === 409).length, 40)
  t.equal(((await api.ask('GET', '/admin/consumers?limit=1000')).body['items'] as object[]).length, 41)
  t.ok(readdirSync('/proc/self/fd').length < 200, 'no file is left open')
})
