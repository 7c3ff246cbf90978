import { availableParallelism } from 'node:os'
import { z } from 'zod'
import { admin, dataDirectory } from './schema-admin.ts'
import { authenticator, authenticatorName, consumer, plan, routeAuth, routeIp } from './schema-identity.ts'
import { limits, maxConcurrent } from './schema-limits.ts'
import { redis } from './schema-redis.ts'
import { upstream } from './schema-upstream.ts'
import { bytes, headerName, headerValue, milliseconds, ratio, requestKey, text } from './schema-values.ts'

/**
 * The one schema of the configuration document: types, ranges, defaults and doc strings. The JSON Schema for
 * editors and the reference in the README come out of it, so a key is described here and nowhere else.
 *
 * What the text of one value must look like beyond its type (a path pattern, an endpoint's URL) is checked by
 * config/validate.ts, which can name the other places of the document that a value refers to.
 */

const certificate = z.strictObject({
  hosts: z.array(text()).min(1).describe('Server names (SNI) this certificate answers for; `*.example.com` is one label deep. The first certificate also answers clients that send no name.'),
  cert: text().describe('PEM file with the certificate and its chain; relative to the document.'),
  key: text().describe('PEM file with the private key; relative to the document.'),
})

const listener = z.strictObject({
  address: text().describe('`host:port`; an IPv6 host stands in brackets. Port 0 takes any free port.'),
  tls: z.strictObject({
    certificates: z.array(certificate).min(1).describe('Certificates by server name. Read again at every reload.'),
    minVersion: z.literal('TLSv1.2').default('TLSv1.2').describe('Lowest version of TLS; 1.3 is always offered.'),
  }).optional().describe('Serves TLS on this address; absent: plain HTTP.'),
})

const headerChanges = z.strictObject({
  set: z.record(headerName(), headerValue()).default({}).describe('Headers to set; an existing one is replaced.'),
  remove: z.array(headerName()).default([]).describe('Headers to remove.'),
})

const match = z.strictObject({
  hosts: z.array(text()).min(1).optional().describe('Exact names or `*.example.com` (one label or more); without a port. Absent: any host.'),
  methods: z.array(z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be a method: letters, digits and a few signs')).min(1).optional().describe('Methods, as sent (they are case-sensitive). Absent: any method.'),
  path: z.string().regex(/^\//, 'must start with \'/\'').describe('`/a/b` literal, `{id}` one segment, `{rest+}` the rest, at least one character. Compared with the normalised path.'),
  headers: z.record(headerName(), z.string()).default({}).describe('Headers that must be there with exactly this value.'),
  query: z.record(text(), z.string()).default({}).describe('Query parameters that must be there with exactly this value (decoded).'),
})

const mock = z.strictObject({
  status: z.int().min(200).max(599).default(200).describe('Status to answer.'),
  headers: z.record(headerName(), headerValue()).default({}).describe('Headers to answer.'),
  body: z.string().default('').describe('Body to answer.'),
})

const splitPart = z.strictObject({
  upstream: text().describe('Name of an upstream.'),
  weight: z.number().min(0).max(1_000_000).describe('Its share, beside the other weights.'),
})

const mirror = z.strictObject({
  upstream: text().describe('Name of the upstream that gets a copy; its answers are dropped.'),
  ratio: ratio().default(1).describe('Share of the requests that are copied.'),
  maxInFlight: z.int().min(1).max(100_000).default(64).describe('Copies of one worker that may be under way; further ones are dropped and counted.'),
  maxBodyBytes: bytes(0, 67_108_864).default(65_536).describe('Requests with a larger body are not copied.'),
  compare: z.array(z.enum(['status', 'latency', 'json'])).default([]).describe('What of the two answers is compared; differences are counted in the log.'),
})

const fault = z.strictObject({
  header: headerName().nullable().default(null).describe('Only requests that have this header; null: all.'),
  delay: z.strictObject({ ms: milliseconds(), ratio: ratio().default(1) }).nullable().default(null).describe('Holds a share of the requests up before they are sent.'),
  abort: z.strictObject({ status: z.int().min(200).max(599), ratio: ratio().default(1) }).nullable().default(null).describe('Answers a share of the requests with this status.'),
})

const route = z.strictObject({
  id: z.string().regex(/^[\w.:/-]{1,128}$/, 'may hold letters, digits and _ . : / -, at most 128').describe('Name in logs and in metrics; unique.'),
  match: match.describe('Which requests.'),
  auth: routeAuth.optional().describe('Who may call; absent: anybody.'),
  ip: routeIp.optional().describe('Which addresses may call; absent: all.'),
  request: z.strictObject({
    path: z.string().regex(/^\//, 'must start with \'/\'').optional().describe('Path to ask the upstream for; `{name}` takes a parameter of the match. Absent: the path as it came, normalised.'),
    headers: headerChanges.prefault({}).describe('Changes to the request head.'),
  }).prefault({}).describe('What the upstream gets. Values take `{name}`, `{query.x}`, `{header.x}`, `{request.id}`, `{client.ip}`, and with `auth` `{consumer.id}`, `{consumer.plan}`, `{claim.NAME}`.'),
  response: z.strictObject({
    headers: headerChanges.prefault({}).describe('Changes to the response head.'),
  }).prefault({}).describe('What the client gets. Values take the same templates as the request.'),
  upstream: text().optional().describe('Name of the upstream to send to.'),
  split: z.array(splitPart).min(1).optional().describe('Upstreams that share the requests by weight.'),
  splitBy: requestKey().nullable().default(null).describe('Requests with the same value go to the same part of the split; as a weight grows, values only move towards it. null: at random.'),
  mock: mock.optional().describe('A fixed answer.'),
  mirror: mirror.optional().describe('Copies requests to another upstream, without an effect on their answers.'),
  limits: limits.optional(),
  maxConcurrent: maxConcurrent.optional(),
  fault: fault.optional().describe('Injects faults, to see how clients bear them.'),
  priority: z.enum(['low', 'normal', 'high', 'critical']).default('normal').describe('What is shed last when the gateway has too much to do (`shedding`); `critical` never is.'),
  maxBodyBytes: bytes(0).nullable().default(null).describe('Largest request body on this route; null: `bounds.maxBodyBytes`.'),
  timeoutMs: milliseconds().default(60_000).describe('For the whole exchange, from its head to its last byte.'),
})

export const documentSchema = z.strictObject({
  listeners: z.array(listener).min(1).default([{ address: '127.0.0.1:8080' }]).describe('Where clients connect.'),
  workers: z.union([z.literal('auto'), z.int().min(1).max(256)]).default('auto').transform(count => (count === 'auto' ? availableParallelism() : count)).describe('Acceptor threads; `auto`: one a core.'),
  bounds: z.strictObject({
    maxHeadBytes: bytes(1024, 1_048_576).default(16_384).describe('Largest request head. Taken at the start; a reload does not change it.'),
    maxUriBytes: bytes(64, 1_048_576).default(8192).describe('Longest path with query.'),
    maxBodyBytes: bytes(0).default(10_485_760).describe('Largest request body; also counted where no length was announced.'),
  }).prefault({}).describe('Bounds on what a client sends.'),
  trustedProxies: z.array(text()).default([]).describe('Addresses (CIDR) whose X-Forwarded-*, Forwarded and X-Request-Id are believed.'),
  drainTimeoutMs: milliseconds(0).default(10_000).describe('How long open exchanges may take to finish at a stop.'),
  accessLog: z.strictObject({
    destination: z.string().min(1).default('stdout').describe('`stdout`, `stderr` or a file, relative to the document.'),
    sampleRatio: z.number().min(0).max(1).default(1).describe('Share of the exchanges that are logged; failures (5xx) always are.'),
    headers: z.array(headerName()).default([]).describe('Request headers to log besides.'),
    query: z.boolean().default(false).describe('Log the query too.'),
    redact: z.array(z.string().min(1).toLowerCase()).default(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key']).describe('Headers and query parameters whose value is logged as `[redacted]`.'),
  }).nullable().prefault({}).describe('One line of JSON an exchange; null: none.'),
  admin,
  dataDirectory,
  zone: text().nullable().default(null).describe('Where this gateway stands; endpoints of the same `zone` are preferred.'),
  shedding: z.strictObject({
    maxLagMs: milliseconds().default(500).describe('Routes of low priority are shed when the event loop of a worker lags this much; normal ones at twice, high ones at four times.'),
    maxHeapRatio: ratio().default(0.9).describe('And when its heap is filled so far; then all but high and critical ones.'),
  }).nullable().prefault({}).describe('Answers 503 at once where all would be late; null: never.'),
  redis: redis.nullable().default(null).describe('The Redis that the nodes of a gateway share; null: all state is in this process and its data directory.'),
  upstreams: z.record(z.string().regex(/^[\w.-]{1,64}$/, 'may hold letters, digits and _ . -, at most 64'), upstream).default({}).describe('Groups of endpoints by name.'),
  authenticators: z.record(authenticatorName(), authenticator).default({}).describe('How callers show who they are, by name; routes name them under `auth`.'),
  plans: z.record(authenticatorName(), plan).default({}).describe('What consumers may use, by name.'),
  consumers: z.array(consumer).default([]).describe('Who calls.'),
  routes: z.array(route).default([]).describe('What is served.'),
})

/** The document as written. */
export type DocumentInput = z.input<typeof documentSchema>
/** The document with every default filled in. */
export type Document = z.output<typeof documentSchema>
export type RouteConfig = Document['routes'][number]
export type UpstreamConfig = Document['upstreams'][string]
export type ListenerConfig = Document['listeners'][number]
export type AccessLogConfig = NonNullable<Document['accessLog']>
export type AdminConfig = NonNullable<Document['admin']>

/**
 * Names of the contract that a later version serves: by JSON pointer, `*` for any name or index. Each is refused with
 * its reason, so that no one believes in a protection that is not there.
 */
export const NOT_SUPPORTED_YET: readonly string[] = [
  '/offload', '/aws', '/functions', '/lambda',
  '/listeners/*/proxyProtocol', '/listeners/*/tls/clientCa',
  '/routes/*/cors', '/routes/*/validate',
  '/routes/*/cache', '/routes/*/function', '/routes/*/aggregate',
  '/routes/*/request/body', '/routes/*/response/body', '/routes/*/response/compress',
]
