import { z } from 'zod'

const tokens = () => z.int().min(1).max(1_000_000)

/** Whom a limit counts together. */
const limitKey = () => z.string()
  .regex(/^(?:consumer|ip|route|header:[!#$%&'*+\-.^_`|~0-9A-Za-z]+)$/, 'must be consumer, ip, route or header:NAME')
  .describe('Who is counted together: `consumer` (without an identity: the client\'s address), `ip`, `route` (everybody), or `header:NAME` (without that header: the client\'s address).')

const ipv6PrefixBits = () => z.int().min(1).max(128).default(64).describe('Addresses of IPv6 that share so many bits are one client: a subscriber mostly has a /64.')

export const limit = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'may hold letters, digits and _ . -, at most 64').default('default').describe('Name in `RateLimit` headers and in logs; unique on its route.'),
  requestsPerSecond: z.number().min(0.000_001).max(1_000_000).describe('Sustained rate of a key; fractions allowed.'),
  burstRequests: tokens().describe('Requests of a key that may come at once.'),
  key: limitKey().default('consumer'),
  onStoreFailure: z.enum(['deny', 'local', 'allow']).default('local').describe('When Redis does not answer: `deny` with 503, `local`: each node admits rate and burst / `maxNodes`, `allow` everything. Without `redis` it has no effect.'),
  maxNodes: z.int().min(1).max(10_000).default(1).describe('How many gateways there may be; for `onStoreFailure: local`.'),
  cost: tokens().default(1).describe('What one request counts for.'),
  shadow: z.boolean().default(false).describe('True: counts and logs what it would have denied, and denies nothing.'),
  ipv6PrefixBits: ipv6PrefixBits(),
})

export const limits = z.array(limit).min(1).max(16).describe('Token buckets: at most `burstRequests + requestsPerSecond × t` requests of a key in any t seconds. A request is charged to all of them, or denied (429) and charged to none.')

export const maxConcurrent = z.strictObject({
  requests: z.int().min(1).max(1_000_000).describe('Requests of a key that may be under way on this gateway; one more is answered 429.'),
  key: limitKey().default('consumer'),
  ipv6PrefixBits: ipv6PrefixBits(),
}).describe('Limits how many requests are under way at the same time; all workers of a gateway together, each gateway by itself.')
