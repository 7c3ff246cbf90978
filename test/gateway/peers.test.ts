import t from 'tap'
import { Peers } from '../../src/gateway/peers.ts'

const binary = (...bytes: number[]): ArrayBuffer => new Uint8Array(bytes).buffer
const v6 = (...groups: number[]): ArrayBuffer => binary(...groups.flatMap(group => [group >> 8, group & 255]))

for (const { desc, address, want } of [
  { desc: 'IPv4', address: binary(203, 0, 113, 255), want: '203.0.113.255' },
  { desc: 'IPv4 that came as IPv6', address: v6(0, 0, 0, 0, 0, 0xffff, 0x7f00, 1), want: '127.0.0.1' },
  { desc: 'IPv6, shortened', address: v6(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), want: '2001:db8::1' },
  { desc: 'IPv6 loopback', address: v6(0, 0, 0, 0, 0, 0, 0, 1), want: '::1' },
]) {
  t.test(desc, async t => {
    t.equal(new Peers([]).of(address).address, want)
  })
}

for (const { desc, trusted, peer, forwardedFor, want } of [
  { desc: 'an untrusted peer is the client, whatever it says', trusted: [], peer: [9, 9, 9, 9], forwardedFor: '1.2.3.4', want: '9.9.9.9' },
  { desc: 'behind a trusted proxy the client is what it says', trusted: ['10.0.0.0/8'], peer: [10, 0, 0, 1], forwardedFor: '1.2.3.4', want: '1.2.3.4' },
  { desc: 'what a client put in front of it is not believed', trusted: ['10.0.0.0/8'], peer: [10, 0, 0, 1], forwardedFor: '6.6.6.6, 1.2.3.4', want: '1.2.3.4' },
  { desc: 'a chain of trusted proxies is walked from the right', trusted: ['10.0.0.0/8'], peer: [10, 0, 0, 1], forwardedFor: '6.6.6.6, 1.2.3.4, 10.9.9.9', want: '1.2.3.4' },
  { desc: 'ports are left out', trusted: ['10.0.0.1'], peer: [10, 0, 0, 1], forwardedFor: '[2001:db8::1]:80', want: '2001:db8::1' },
  { desc: 'a hop that is no address ends the walk', trusted: ['10.0.0.0/8'], peer: [10, 0, 0, 1], forwardedFor: '1.2.3.4, unknown', want: '10.0.0.1' },
  { desc: 'without the header it is the peer', trusted: ['10.0.0.0/8'], peer: [10, 0, 0, 1], forwardedFor: undefined, want: '10.0.0.1' },
]) {
  t.test(desc, async t => {
    const peers = new Peers(trusted)
    t.equal(peers.clientOf(peers.of(binary(...peer)), forwardedFor), want)
  })
}

t.test('the table of peers is bounded, and right beyond its bound', async t => {
  const peers = new Peers([])
  for (let i = 0; i < 25_000; i++) {
    const address = binary(1, i >> 16, (i >> 8) & 255, i & 255)
    t.equal(peers.of(address).address, `1.${i >> 16}.${(i >> 8) & 255}.${i & 255}`)
  }
})
