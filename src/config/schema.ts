import { availableParallelism } from 'node:os'
import { z } from 'zod'

/**
 * The one schema of the configuration document: types, ranges, defaults and doc strings. The JSON Schema for
 * editors and the reference in the README come out of it, so a key is described here and nowhere else.
 *
 * What the text of one value must look like beyond its type (a path pattern, an endpoint's URL) is checked by
 * config/validate.ts, which can name the other places of the document that a value refers to.
 */

const milliseconds = (minimum = 1) => z.int().min(minimum).max(2_147_483_647)
const bytes = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) => z.int().min(minimum).max(maximum)
const text = () => z.string().min(1)
/** A header name in the document; compared without regard to case, kept in lower case. */
const headerName = () => z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be a header name: letters, digits and - _ . and a few signs').toLowerCase()
/** A header value: visible ASCII, space and tab; no CR or LF can come through. */
const headerValue = () => z.string().regex(/^[\t\x20-\x7e]*$/, 'may hold visible ASCII, space and tab only')

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

const endpoint = z.union([
  text(),
  z.strictObject({
    url: text().describe('`http://host:port` or `https://host:port`.'),
    weight: z.int().min(1).max(1000).default(1).describe('Share of the traffic beside the other endpoints.'),
  }),
])

const upstreamTls = z.strictObject({
  ca: text().nullable().default(null).describe('PEM file with the authorities to trust; null: those that Node.js trusts.'),
  cert: text().nullable().default(null).describe('PEM file with the client certificate; needs `key`.'),
  key: text().nullable().default(null).describe('PEM file with the key of the client certificate.'),
  serverName: text().nullable().default(null).describe('Name to ask for and to verify; null: the host of the endpoint.'),
  rejectUnauthorized: z.boolean().default(true).describe('False accepts any certificate: for tests only.'),
})

const breaker = z.strictObject({
  maxPending: z.int().min(0).max(1_000_000).default(1024).describe('Requests of one worker that may wait for a connection; one more is answered 503.'),
  pendingTimeoutMs: milliseconds().default(5000).describe('Longest wait for a connection; then 503.'),
  maxInFlight: z.int().min(1).max(1_000_000).default(4096).describe('Requests of one worker that may be with the upstream, waiting ones included; one more is answered 503.'),
})

const upstream = z.strictObject({
  endpoints: z.array(endpoint).min(1).describe('Where the upstream listens.'),
  balance: z.enum(['round-robin', 'least-requests']).default('round-robin').describe('How an endpoint is chosen.'),
  preserveHost: z.boolean().default(false).describe('True sends the Host that the client sent; false the host of the endpoint.'),
  maxConnections: z.int().min(1).max(65_535).default(128).describe('Connections of one worker to one endpoint.'),
  pipelining: z.int().min(1).max(256).default(1).describe('Idempotent requests without a body that may be on one connection at a time. For trusted upstreams only: one slow answer holds up those behind it.'),
  connectTimeoutMs: milliseconds().default(1000).describe('Until the connection stands, TLS included.'),
  headTimeoutMs: milliseconds().default(15_000).describe('From the end of the request until the response head.'),
  idleTimeoutMs: milliseconds().default(30_000).describe('Between two pieces of a body, in either direction.'),
  keepAliveMs: milliseconds(0).default(55_000).describe('How long an idle connection is kept; a shorter Keep-Alive hint of the upstream wins.'),
  maxHeadBytes: bytes(1024, 1_048_576).default(32_768).describe('Largest response head.'),
  breaker: breaker.prefault({}).describe('Bounds on what is under way.'),
  tls: upstreamTls.prefault({}).describe('For `https` endpoints.'),
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

const route = z.strictObject({
  id: z.string().regex(/^[\w.:/-]{1,128}$/, 'may hold letters, digits and _ . : / -, at most 128').describe('Name in logs and in metrics; unique.'),
  match: match.describe('Which requests.'),
  request: z.strictObject({
    path: z.string().regex(/^\//, 'must start with \'/\'').optional().describe('Path to ask the upstream for; `{name}` takes a parameter of the match. Absent: the path as it came, normalised.'),
    headers: headerChanges.prefault({}).describe('Changes to the request head.'),
  }).prefault({}).describe('What the upstream gets. Values take `{name}`, `{query.x}`, `{header.x}`, `{request.id}`, `{client.ip}`.'),
  response: z.strictObject({
    headers: headerChanges.prefault({}).describe('Changes to the response head.'),
  }).prefault({}).describe('What the client gets. Values take the same templates as the request.'),
  upstream: text().optional().describe('Name of the upstream to send to.'),
  mock: mock.optional().describe('A fixed answer.'),
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
  upstreams: z.record(z.string().regex(/^[\w.-]{1,64}$/, 'may hold letters, digits and _ . -, at most 64'), upstream).default({}).describe('Groups of endpoints by name.'),
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

/**
 * Names of the contract that a later version serves: by JSON pointer, `*` for any name or index. Each is refused with
 * its reason, so that no one believes in a protection that is not there.
 */
export const NOT_SUPPORTED_YET: readonly string[] = [
  '/redis', '/admin', '/dataDirectory', '/authenticators', '/offload', '/aws', '/functions', '/lambda', '/plans', '/consumers',
  '/listeners/*/proxyProtocol', '/listeners/*/tls/clientCa',
  '/upstreams/*/retries', '/upstreams/*/health', '/upstreams/*/outlier',
  '/routes/*/auth', '/routes/*/ip', '/routes/*/limits', '/routes/*/maxConcurrent', '/routes/*/cors', '/routes/*/validate',
  '/routes/*/cache', '/routes/*/function', '/routes/*/split', '/routes/*/mirror', '/routes/*/aggregate',
  '/routes/*/request/body', '/routes/*/response/body', '/routes/*/response/compress',
]
