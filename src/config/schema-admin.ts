import { z } from 'zod'
import { text } from './schema-values.ts'

/**
 * The admin API. An empty token is no token, so that `"${PENSTOCK_ADMIN_TOKEN:-}"` can stand in a document; which
 * addresses may do without one is decided in check-admin.ts.
 */
export const admin = z.strictObject({
  address: text().default('127.0.0.1:9000').describe('`host:port` of the admin API; port 0 takes any free port. Any other than a loopback address needs `token`.'),
  token: z.string().nullable().default(null).transform(token => (token === '' ? null : token)).describe('What a caller must send as `Authorization: Bearer`; at least 16 visible characters. null or empty: none, for loopback only. Take it from the environment.'),
  maxKeysPerConsumer: z.int().min(1).max(100).default(2).describe('Keys of one consumer that may be valid at a time; two let it change from one to the next.'),
}).nullable().default(null).describe('Where consumers and keys are changed at run time (`penstock keys`, `penstock status`); null: nowhere. A reload does not change it.')

export const dataDirectory = text().default('./data').describe('Folder of what is changed at run time, relative to the document; of one gateway alone. Taken at the start; a reload does not change it.')
