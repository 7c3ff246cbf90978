import t from 'tap'
import { Headers } from '../../src/http/headers.ts'
import type { Identity } from '../../src/policies/policy.ts'
import { compileHeaderTemplate, compilePathTemplate } from '../../src/policies/template.ts'

function scope(options: { query?: string; headers?: [string, string][]; parameters?: Record<string, string>; identity?: Identity }) {
  const headers = new Headers()
  for (const [name, value] of options.headers ?? []) headers.add(name, value)
  return {
    identity: options.identity ?? null,
    request: { query: options.query ?? '', headers },
    requestId: 'id-1',
    clientIp: '1.2.3.4',
    parameter: (name: string) => options.parameters?.[name],
  }
}

const ACME: Identity = {
  authenticator: 'issuer', subject: 's-1', consumer: { id: 'acme', plan: 'gold', groups: [] }, scopes: [],
  claims: { sub: 's-1', roles: ['a', 'b', { c: 1 }], level: 7, isAdmin: false, nested: { a: 1 }, evil: 'a\r\nx-admin: 1' },
}

for (const { desc, template, of, want } of [
  { desc: 'plain text', template: 'plain', of: {}, want: 'plain' },
  { desc: 'empty', template: '', of: {}, want: '' },
  { desc: 'parameters by both names', template: '{id}/{params.id}', of: { parameters: { id: '7' } }, want: '7/7' },
  { desc: 'parameters are decoded', template: '{id}', of: { parameters: { id: 'a%20b' } }, want: 'a b' },
  { desc: 'but not where a line end would come out', template: '{id}', of: { parameters: { id: 'a%0d%0aX-Evil:%201' } }, want: 'a%0d%0aX-Evil:%201' },
  { desc: 'nor where it is not ASCII', template: '{id}', of: { parameters: { id: '%C3%BC' } }, want: '%C3%BC' },
  { desc: 'nor where it is not UTF-8', template: '{id}', of: { parameters: { id: '%ff' } }, want: '%ff' },
  { desc: 'query values', template: 'q={query.a}', of: { query: 'b=1&a=x+y%21' }, want: 'q=x y!' },
  { desc: 'a query value can not end a line', template: '{query.a}', of: { query: 'a=1%0d%0aX-Evil:2' }, want: '1%0D%0AX-Evil%3A2' },
  { desc: 'headers in any case', template: '{header.X-Tenant}', of: { headers: [['x-tenant', 't1']] as [string, string][] }, want: 't1' },
  { desc: 'request id and client', template: '{request.id} {client.ip}', of: {}, want: 'id-1 1.2.3.4' },
  { desc: 'who asks', template: '{consumer.id} {consumer.plan} {claim.sub}', of: { identity: ACME }, want: 'acme gold s-1' },
  { desc: 'claims that are lists, numbers and truth values', template: '{claim.roles}|{claim.level}|{claim.isAdmin}', of: { identity: ACME }, want: 'a b|7|false' },
  { desc: 'a claim that is an object is empty', template: '[{claim.nested}]', of: { identity: ACME }, want: '[]' },
  { desc: 'a claim by a name of every object is empty', template: '[{claim.constructor}{claim.__proto__}]', of: { identity: ACME }, want: '[]' },
  { desc: 'a claim can not end a line', template: '{claim.evil}', of: { identity: ACME }, want: 'a%0D%0Ax-admin%3A%201' },
  { desc: 'nobody is empty', template: '[{consumer.id}{consumer.plan}{claim.sub}]', of: {}, want: '[]' },
  { desc: 'what is missing is empty', template: '[{query.a}{header.b}{c}]', of: {}, want: '[]' },
]) {
  t.test(`header: ${desc}`, async t => {
    t.equal(compileHeaderTemplate(template)(scope(of)), want)
  })
}

t.test('path: parameters go on as they came', async t => {
  const render = compilePathTemplate('/v1/users/{id}/{rest}')
  t.equal(render(scope({ parameters: { id: 'a%2Fb', rest: 'x/y%20z' } })), '/v1/users/a%2Fb/x/y%20z')
})
