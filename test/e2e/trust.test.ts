import { connect, type Socket } from 'node:net'
import t from 'tap'
import { GatewayProcess } from '../support/gateway-process.ts'
import { Random } from '../support/random.ts'
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

t.test('no client is taken for another, whoever comes and goes beside it', async t => {
  const upstream = await RawUpstream.start((socket, received) => {
    const from = [...received.matchAll(/x-forwarded-for: ([\d.]+)\r\n/g)].at(-1)![1]!
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${from.length}\r\n\r\n${from}`)
  })
  const gateway = await GatewayProcess.start({
    accessLog: null, upstreams: { u: { endpoints: [upstream.url] } }, routes: [{ id: 'x', match: { path: '/x' }, upstream: 'u' }],
  })
  const random = new Random(20_261_124)
  const open: { socket: Socket; address: string }[] = []
  const ask = (socket: Socket): Promise<string> => new Promise(resolve => {
    socket.once('data', bytes => resolve(bytes.toString().split('\r\n\r\n')[1]!))
    socket.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
  })
  for (let round = 0; round < 400; round++) {
    // Now and then none is left, and the first to come decides anew whether all are alike.
    if (open.length > 0 && (open.length > 4 || random.chance(round % 40 < 20 ? 0.7 : 0.4))) {
      const { socket } = open.splice(random.below(open.length), 1)[0]!
      await new Promise(resolve => {
        socket.once('close', resolve)
        if (random.chance(0.5)) socket.resetAndDestroy()
        else socket.destroy()
      })
    } else {
      const address = `127.0.0.${random.chance(0.7) ? 1 : 2 + random.below(3)}`
      const socket = connect({ port: gateway.port, host: '127.0.0.1', localAddress: address })
      await new Promise(resolve => socket.once('connect', resolve))
      open.push({ socket, address })
    }
    for (const { socket, address } of open) t.equal(await ask(socket), address)
  }
  for (const { socket } of open) socket.destroy()
  await gateway.stop()
  upstream.stop()
})
