import t from 'tap'
import { addForwarding, forwardingText, trustedRequestId } from '../../src/gateway/forwarding.ts'
import { Peers } from '../../src/gateway/peers.ts'
import { Headers } from '../../src/http/headers.ts'
import type { RequestHead } from '../../src/http/message.ts'

const peerOf = (isTrusted: boolean) => new Peers(isTrusted ? ['10.0.0.0/8'] : []).of(new Uint8Array([10, 0, 0, 1]).buffer)
const headOf = (lines: Record<string, string>, host = 'api.example.com'): RequestHead => {
  const headers = new Headers()
  for (const [name, value] of Object.entries(lines)) headers.add(name, value)
  return { method: 'GET', path: '/', query: '', host, headers, contentLength: null, isChunked: false, hasForwarding: Object.keys(lines).length > 0 }
}
const CHAIN = {
  'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'public.example', 'x-forwarded-prefix': '/p',
  forwarded: 'for=1.2.3.4', via: '1.0 first', 'x-request-id': 'theirs', 'x-else': 'kept',
}
const pairsOf = ({ lines }: Headers): Record<string, string> =>
  Object.fromEntries(Array.from({ length: lines.length / 2 }, (_, i) => [lines[2 * i]!, lines[2 * i + 1]!]))

for (const { desc, isTrusted, isTls, lines, want } of [
  { desc: 'nobody has said anything', isTrusted: false, isTls: true, lines: {}, want: {
    'x-forwarded-for': '10.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'api.example.com',
    forwarded: 'for=10.0.0.1;host=api.example.com;proto=https', via: '1.1 penstock', 'x-request-id': 'ours',
  } },
  { desc: 'a peer that is not trusted is believed nothing but Via', isTrusted: false, isTls: false, lines: CHAIN, want: {
    'x-else': 'kept', 'x-forwarded-for': '10.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'api.example.com',
    forwarded: 'for=10.0.0.1;host=api.example.com;proto=http', via: '1.0 first, 1.1 penstock', 'x-request-id': 'ours',
  } },
  { desc: 'what a trusted one says is kept and added to', isTrusted: true, isTls: false, lines: CHAIN, want: {
    'x-forwarded-prefix': '/p', 'x-else': 'kept', 'x-forwarded-for': '1.2.3.4, 10.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'public.example',
    forwarded: 'for=1.2.3.4, for=10.0.0.1;host=api.example.com;proto=http', via: '1.0 first, 1.1 penstock', 'x-request-id': 'ours',
  } },
]) {
  t.test(desc, async t => {
    const head = headOf(lines)
    addForwarding(head, peerOf(isTrusted), isTls, 'ours')
    t.strictSame(pairsOf(head.headers), want)
  })
}

t.test('the ready text says the same as the lines, whatever came before', async t => {
  const peer = peerOf(false)
  const others = new Peers([])
  for (const host of ['a.example', 'a.example:8080', '[::1]:80', 'a.example']) {
    for (const isTls of [false, true, false]) {
      const head = headOf({}, host)
      addForwarding(head, peer, isTls, 'r')
      t.equal(`${forwardingText(peer, host, isTls)}r\r\n`, Object.entries(pairsOf(head.headers)).map(([name, value]) => `${name}: ${value}\r\n`).join(''))
      t.match(forwardingText(others.of(new Uint8Array([9, 9, 9, 9]).buffer), host, isTls), 'x-forwarded-for: 9.9.9.9\r\n')
    }
  }
})

for (const { desc, isTrusted, id, want } of [
  { desc: 'of a trusted peer is kept', isTrusted: true, id: 'abc-1', want: 'abc-1' },
  { desc: 'of anyone else is not', isTrusted: false, id: 'abc-1', want: null },
  { desc: 'with a space is not', isTrusted: true, id: 'a b', want: null },
  { desc: 'beyond 128 characters is not', isTrusted: true, id: 'a'.repeat(129), want: null },
  { desc: 'that is empty is not', isTrusted: true, id: '', want: null },
]) {
  t.test(`a request id ${desc}`, async t => {
    t.equal(trustedRequestId(headOf({ 'x-request-id': id }), peerOf(isTrusted)), want)
  })
}
