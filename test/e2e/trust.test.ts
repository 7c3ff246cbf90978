import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { isWhole, RawUpstream, sendRaw } from '../support/raw.ts'

const REQUEST = 'GET /x HTTP/1.1\r\nHost: api.example.com\r\nX-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: shop.example\r\n' +
  'X-Forwarded-Port: 443\r\nForwarded: for=203.0.113.9\r\nX-Request-Id: abc-1\r\n\r\n'

for (const { desc, config, want, wantNot } of [
  { desc: 'what a trusted proxy says is kept and added to', config: { trustedProxies: ['127.0.0.0/8'] },
    want: ['x-forwarded-for: 203.0.113.9, 127.0.0.1\r\n', 'x-forwarded-proto: https\r\n', 'x-forwarded-host: shop.example\r\n', 'x-forwarded-port: 443\r\n',
      'forwarded: for=203.0.113.9, for=127.0.0.1;host=api.example.com;proto=http\r\n', 'x-request-id: abc-1\r\n', 'x-client: 203.0.113.9\r\n'],
    wantNot: /no such/ },
  { desc: 'what anyone else says is dropped', config: {},
    want: ['x-forwarded-for: 127.0.0.1\r\n', 'x-forwarded-proto: http\r\n', 'x-forwarded-host: api.example.com\r\n', 'x-client: 127.0.0.1\r\n'],
    wantNot: /203\.0\.113\.9|abc-1|shop\.example|x-forwarded-port/ },
]) {
  t.test(desc, async t => {
    const upstream = await RawUpstream.start(socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    const gateway = await GatewayProcess.start({
      ...config,
      upstreams: { u: { endpoints: [upstream.url], preserveHost: true } },
      routes: [{ id: 'x', match: { path: '/x' }, request: { headers: { set: { 'x-client': '{client.ip}' } } }, upstream: 'u' }],
    })
    await sendRaw(gateway.port, [REQUEST], { until: isWhole })
    const seen = upstream.received.join('')
    t.match(seen, 'host: api.example.com\r\n')
    for (const line of want) t.ok(seen.includes(line), `${line} in ${seen}`)
    t.notMatch(seen, wantNot)
    await gateway.stop()
    upstream.stop()
  })
}
