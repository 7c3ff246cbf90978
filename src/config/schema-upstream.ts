import { z } from 'zod'
import { bytes, milliseconds, ratio, requestKey, text } from './schema-values.ts'

/** An entry of `endpoints`, and of the lists that discovery reads. */
export const endpoint = z.union([
  text(),
  z.strictObject({
    url: text().describe('`http://host:port` or `https://host:port`.'),
    weight: z.int().min(1).max(1000).default(1).describe('Share of the traffic beside the other endpoints.'),
    priority: z.int().min(0).max(9).default(0).describe('Group: 0 serves; 1 and above are backups, each taken when too few of the groups before it are healthy (`panicRatio`).'),
    zone: text().nullable().default(null).describe('Where it stands; with `zone` of the document, endpoints of the own zone are preferred.'),
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
  failureRatio: ratio().gt(0, 'must be more than 0').nullable().default(null).describe('The breaker opens when this share of the requests in the window failed (no answer, or 502, 503, 504); null: it never does.'),
  windowMs: milliseconds(100).default(10_000).describe('Rolling window of `failureRatio`.'),
  minRequests: z.int().min(1).max(1_000_000).default(20).describe('Fewer requests in the window never open it.'),
  openMs: milliseconds().default(5000).describe('How long an open breaker answers 503 before it tries again.'),
  halfOpenRequests: z.int().min(1).max(1000).default(3).describe('Requests let through to try; as many successes close it, one failure opens it again.'),
  adaptive: z.strictObject({
    minInFlight: z.int().min(1).max(1_000_000).default(4).describe('The limit never falls below.'),
    maxInFlight: z.int().min(1).max(1_000_000).default(1000).describe('The limit never rises above.'),
  }).nullable().default(null).describe('Limits what is under way by latency: a rising one lowers the limit (gradient). One worker each; null: off.'),
})

const retryReason = z.union([z.enum(['connect', 'reset', 'timeout']), z.union([z.literal(429), z.literal(500), z.literal(502), z.literal(503), z.literal(504)])])

const retries = z.strictObject({
  attempts: z.int().min(1).max(10).default(2).describe('Tries in all, the first included; each on another endpoint where there is one. 1: no retries.'),
  on: z.array(retryReason).default(['connect', 'reset', 502, 503, 504]).describe('`connect`: nothing was sent, any method. `reset`, `timeout` (no head in time) and statuses: idempotent methods, or with an Idempotency-Key.'),
  budgetRatio: ratio().default(0.2).describe('Retries under way, and in the last ten seconds, for each request; three at a time and in ten seconds are always allowed, and so are those of requests that were never sent.'),
  perTryTimeoutMs: milliseconds().nullable().default(null).describe('From the end of the request until the response head, of one try; null: `headTimeoutMs` alone.'),
  backoffMs: milliseconds(0).default(25).describe('Upper bound of the random wait before the first retry; doubled for each further one.'),
  maxBackoffMs: milliseconds(0).default(1000).describe('Longest wait, also for a Retry-After: a longer one is passed on to the client instead.'),
  maxBodyBytes: bytes(0, 67_108_864).default(65_536).describe('A request body is kept up to this size, to be sent again.'),
  hedge: z.strictObject({
    percentile: z.number().min(50).max(99.9).default(95).describe('A second try goes out when the first takes longer than this percentile of the route.'),
    minDelayMs: milliseconds().default(5).describe('But never sooner.'),
    maxRatio: ratio().default(0.05).describe('Share of the requests that may be hedged.'),
  }).nullable().default(null).describe('GET and HEAD: a second try beside a slow first one; the faster answer wins, the other is cancelled. null: off.'),
})

const health = z.strictObject({
  type: z.enum(['http', 'tcp']).default('http').describe('`http` asks `path`; `tcp` only connects.'),
  path: z.string().regex(/^\//, 'must start with \'/\'').regex(/^[\x21-\x7e]*$/, 'may hold visible ASCII only: escape the rest, as %20').default('/').describe('Path with query to ask for.'),
  host: z.string().regex(/^[\x21-\x7e]+$/, 'may hold visible ASCII only').nullable().default(null).describe('Host header; null: the host of the endpoint.'),
  intervalMs: milliseconds(10).default(5000).describe('Between two probes of one endpoint, 10 % more or less at random.'),
  timeoutMs: milliseconds().default(1000).describe('A probe that takes longer has failed.'),
  healthyAfter: z.int().min(1).max(100).default(2).describe('Successes in a row that bring an endpoint back.'),
  unhealthyAfter: z.int().min(1).max(100).default(3).describe('Failures in a row that take it out.'),
  statuses: z.array(z.int().min(100).max(599)).min(1).default([200, 204]).describe('Statuses of a success.'),
  bodyContains: text().nullable().default(null).describe('Text that the first 64 KiB of the body must hold; null: any body.'),
})

const outlier = z.strictObject({
  consecutiveFailures: z.int().min(1).max(10_000).nullable().default(5).describe('Failures in a row (no answer, or 502, 503, 504) that eject an endpoint; null: off.'),
  failureRatio: ratio().gt(0, 'must be more than 0').nullable().default(0.5).describe('Share of failures in the window that ejects it; null: off.'),
  windowMs: milliseconds(100).default(10_000).describe('Rolling window of `failureRatio`.'),
  minRequests: z.int().min(1).max(1_000_000).default(20).describe('Fewer requests in the window never eject by ratio.'),
  ejectMs: milliseconds().default(30_000).describe('How long it is left out; as much longer each time in a row, at most ten times.'),
  maxEjectedRatio: ratio().default(0.5).describe('Share of the endpoints that may be out at a time; one may be always, where there is another.'),
})

const discovery = z.strictObject({
  dns: text().optional().describe('`http://name:port` or `https://name:port`: every address of the name (A and AAAA) is an endpoint.'),
  srv: text().optional().describe('Name of SRV records, as `_http._tcp.users.internal`; their priority and weight count.'),
  scheme: z.enum(['http', 'https']).default('http').describe('Of endpoints found by `srv`.'),
  resolver: text().nullable().default(null).describe('`host:port` of the name server to ask; null: those of the system.'),
  file: text().optional().describe('JSON file with a list of endpoints, as under `endpoints`; relative to the document; read again when it changes.'),
  url: text().optional().describe('URL that answers such a list as JSON.'),
  intervalMs: milliseconds(100).default(5000).describe('Between two looks at a file or URL, and after a look-up that failed. A name is resolved again by its TTL, at least this long.'),
  timeoutMs: milliseconds().default(2000).describe('A look-up that takes longer has failed; the endpoints known before stay.'),
})

const balance = z.union([
  z.enum(['peak-ewma', 'least-requests', 'round-robin']),
  z.strictObject({ hash: requestKey().describe('`ip`, `header:NAME`, `cookie:NAME`, `query:NAME` or `param:NAME`: requests with the same value go to the same endpoint (Maglev), unless it has 1.25 times the mean load (and four requests). Without a value: at random.') }),
  z.strictObject({
    sticky: z.strictObject({
      cookie: z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be a cookie name').describe('Name of the cookie that the gateway sets.'),
      secret: z.string().min(16, 'must be at least 16 characters long').describe('Signs the cookie; the same on all nodes. Take it from the environment.'),
      maxAgeSeconds: z.int().min(1).nullable().default(null).describe('Life of the cookie; null: the browser session.'),
    }).describe('A cookie keeps a client on its endpoint; it is chosen anew when that one is gone.'),
  }),
])

/** A named group of endpoints with one balancing, health and timeout setting. */
export const upstream = z.strictObject({
  endpoints: z.array(endpoint).default([]).describe('Where the upstream listens; at least one, or `discovery`.'),
  discovery: discovery.nullable().default(null).describe('Where further endpoints are found; they come and go without a reload. One of `dns`, `srv`, `file`, `url`.'),
  balance: balance.default('peak-ewma').describe('How an endpoint is chosen. `peak-ewma`: the better of two at random, by latency times requests under way.'),
  preserveHost: z.boolean().default(false).describe('True sends the Host that the client sent; false the host of the endpoint.'),
  maxConnections: z.int().min(1).max(65_535).default(128).describe('Connections of one worker to one endpoint.'),
  pipelining: z.int().min(1).max(256).default(1).describe('Idempotent requests without a body that may be on one connection at a time. For trusted upstreams only: one slow answer holds up those behind it.'),
  connectTimeoutMs: milliseconds().default(1000).describe('Until the connection stands, TLS included.'),
  headTimeoutMs: milliseconds().default(15_000).describe('From the end of the request until the response head.'),
  idleTimeoutMs: milliseconds().default(30_000).describe('Between two pieces of a body, in either direction.'),
  keepAliveMs: milliseconds(0).default(55_000).describe('How long an idle connection is kept; a shorter Keep-Alive hint of the upstream wins.'),
  maxHeadBytes: bytes(1024, 1_048_576).default(32_768).describe('Largest response head.'),
  retries: retries.prefault({}).describe('Another try for a request that failed, before a byte of an answer has gone out.'),
  health: health.nullable().default(null).describe('Active probes, by one prober for all workers; null: none.'),
  outlier: outlier.nullable().prefault({}).describe('Ejects endpoints that fail, by what each worker sees; null: never.'),
  panicRatio: ratio().default(0.3).describe('When fewer of a group of endpoints are healthy, and no backup is, health is ignored: better than crushing the few.'),
  slowStartMs: milliseconds(0).default(10_000).describe('An endpoint that has come back gets its share little by little over this time; 0: at once.'),
  breaker: breaker.prefault({}).describe('Bounds on what is under way, and when to stop asking.'),
  tls: upstreamTls.prefault({}).describe('For `https` endpoints.'),
})
