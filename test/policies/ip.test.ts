import t from 'tap'
import type { Failure } from '../../src/base/failure.ts'
import { Ip } from '../../src/policies/ip.ts'
import { fakeExchange } from '../support/policy-exchange.ts'

for (const { desc, allow, deny, clientIp, isLetIn } of [
  { desc: 'in a range', allow: ['10.0.0.0/8'], deny: [], clientIp: '10.1.2.3', isLetIn: true },
  { desc: 'outside of it', allow: ['10.0.0.0/8'], deny: [], clientIp: '11.1.2.3', isLetIn: false },
  { desc: 'one address', allow: ['192.0.2.7'], deny: [], clientIp: '192.0.2.7', isLetIn: true },
  { desc: 'deny wins over allow', allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'], clientIp: '10.1.2.3', isLetIn: false },
  { desc: 'only deny: all others', allow: [], deny: ['10.0.0.0/8'], clientIp: '192.0.2.7', isLetIn: true },
  { desc: 'only deny: those', allow: [], deny: ['10.0.0.0/8'], clientIp: '10.0.0.1', isLetIn: false },
  { desc: 'IPv6 in a range', allow: ['2001:db8::/32'], deny: [], clientIp: '2001:db8::1', isLetIn: true },
  { desc: 'IPv6 where only IPv4 may', allow: ['0.0.0.0/0'], deny: [], clientIp: '2001:db8::1', isLetIn: false },
  { desc: 'what is no address', allow: [], deny: [], clientIp: 'unknown', isLetIn: false },
]) {
  t.test(desc, async t => {
    const policy = new Ip({ allow, deny })
    for (let i = 0; i < 2; i++) {
      const verdict = policy.onRequest(fakeExchange({}, { clientIp }))
      t.equal(verdict === null, isLetIn, i === 0 ? 'looked up' : 'remembered')
      if (verdict !== null) t.match(verdict, { code: 'GW_FORBIDDEN' } as Partial<Failure>)
    }
  })
}
