import { z } from 'zod'
import { milliseconds, text } from './schema-values.ts'

const redisTls = z.strictObject({
  ca: text().nullable().default(null).describe('PEM file with the authorities to trust; null: those that Node.js trusts.'),
  cert: text().nullable().default(null).describe('PEM file with the client certificate; needs `key`.'),
  key: text().nullable().default(null).describe('PEM file with the key of the client certificate.'),
  serverName: text().nullable().default(null).describe('Name to ask for and to verify; null: the host that is connected to.'),
  rejectUnauthorized: z.boolean().default(true).describe('False accepts any certificate: for tests only.'),
})

const sentinel = z.strictObject({
  name: text().describe('Name of the master, as the Sentinels call it.'),
  nodes: z.array(text()).min(1).max(64).describe('`host:port` of Sentinels; the others are learned from them.'),
  username: text().nullable().default(null).describe('ACL user of the Sentinels; null: their default user.'),
  password: text().nullable().default(null).describe('Password of the Sentinels; null: none.'),
})

/** The Redis that the nodes share; without it all state lives in this process and its data directory. */
export const redis = z.strictObject({
  url: text().optional().describe('`redis://user:password@host:port/database`, or `rediss://` for TLS. One of `url`, `cluster`, `sentinel`.'),
  cluster: z.array(text()).min(1).max(64).optional().describe('`host:port` of some nodes of a Redis Cluster; the others are learned from them.'),
  sentinel: sentinel.optional().describe('A master that Sentinels watch over.'),
  keyPrefix: z.string().regex(/^[\w.:/-]{0,64}$/, 'may hold letters, digits and _ . : / -, at most 64').default('penstock:').describe('What all keys and channels begin with; the same on all nodes of one gateway.'),
  username: text().nullable().default(null).describe('ACL user; null: that of the URL, or the default user.'),
  password: text().nullable().default(null).describe('Its password; null: that of the URL, or none. Take it from the environment.'),
  tls: redisTls.nullable().default(null).describe('How to connect by TLS; null: plain, or with a `rediss://` URL the defaults. `{}` turns it on for `cluster` and `sentinel`.'),
  commandTimeoutMs: milliseconds(5).default(100).describe('A command that takes longer has failed. The connection is then given up, and all fails at once until Redis answers again.'),
  connectTimeoutMs: milliseconds(5).default(1000).describe('Until a connection stands, TLS included.'),
})

export type RedisConfig = z.output<typeof redis>
