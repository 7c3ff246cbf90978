import { z } from 'zod'
import { headerName, headerValue, milliseconds, text } from './schema-values.ts'

/** Who may call: authenticators, plans, consumers, and what a route asks of them. */

const ALGORITHMS = ['HS256', 'HS384', 'HS512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'] as const
/** Base64 with or without its padding, in either alphabet. */
const PASSWORD_HASH = /^scrypt:\d{1,2}:\d{1,2}:\d{1,2}:[A-Za-z0-9+/_-]{16,}={0,2}:[A-Za-z0-9+/_-]{40,}={0,2}$/

const name = () => z.string().regex(/^[\w.-]{1,64}$/, 'may hold letters, digits and _ . -, at most 64')
const digest = () => z.string().regex(/^sha256:[0-9A-Fa-f]{64}$/, 'must be sha256: and the 64 hexadecimal digits of the SHA-256 of the key').toLowerCase()
const names = (what: string) => z.union([text(), z.array(text()).min(1)]).nullable().default(null).describe(what)
const tokenPlace = () => z.string().regex(/^(?:header|cookie):.+$/, 'must be header:NAME or cookie:NAME').default('header:authorization').describe('Where the token stands; in `authorization` it is a bearer token.')

const common = {
  setHeaders: z.record(headerName(), headerValue()).default({}).describe('Headers for the upstream about who asks; values take `{claim.NAME}`, `{consumer.id}`, `{consumer.plan}`, `{subject}`. No client can send them itself, on any route.'),
}
const forwardCredential = (isForwarded: boolean) => z.boolean().default(isForwarded).describe('Whether the upstream gets the credential too; false takes it out of the request.')

const jwt = z.strictObject({
  type: z.literal('jwt'),
  algorithms: z.array(z.enum(ALGORITHMS)).min(1).describe('Algorithms that are accepted; each must fit the kind of key. HS… needs `secret`.'),
  publicKey: text().optional().describe('PEM file with the public key or certificate; relative to the document. One of `publicKey`, `secret`, `jwks`, `jwksUrl`.'),
  secret: text().optional().describe('Shared secret of HS256, HS384, HS512, at least 32, 48 or 64 bytes long. Take it from the environment.'),
  jwks: z.strictObject({ keys: z.array(z.record(z.string(), z.unknown())).min(1).max(100) }).optional().describe('Public keys as a JWK set (RFC 7517).'),
  jwksUrl: text().optional().describe('URL of a JWK set. Fetched again after `jwksRefreshMs`, and for an unknown key id, at most every 30 s; the last good keys are kept while it can\'t be.'),
  jwksRefreshMs: milliseconds(1000).default(300_000).describe('Age at which keys of `jwksUrl` are fetched again, beside the requests.'),
  timeoutMs: milliseconds().default(5000).describe('For a fetch of `jwksUrl`.'),
  issuer: names('`iss` that tokens must have, or a list of them; null: any.'),
  audience: names('`aud` that tokens must have, one of a list; null: any.'),
  requiredClaims: z.array(text()).default([]).describe('Claims that tokens must have; `exp` refuses tokens that never end.'),
  tokenType: text().nullable().default(null).describe('`typ` that tokens must have, as `at+jwt`; null: any.'),
  clockToleranceMs: milliseconds(0).default(5000).describe('How far clocks may differ for `exp` and `nbf`.'),
  in: tokenPlace(),
  consumerClaim: text().default('sub').describe('Claim whose value is the id of the consumer.'),
  cacheTtlMs: milliseconds(0).default(300_000).describe('How long a verified token is believed without another look, never beyond its `exp`; 0: not at all.'),
  forwardCredential: forwardCredential(true),
  ...common,
})

const apiKey = z.strictObject({
  type: z.literal('api-key'),
  in: z.string().regex(/^(?:header|query):.+$/, 'must be header:NAME or query:NAME').default('header:x-api-key').describe('Where the key stands; in `authorization` behind `ApiKey` or `Bearer`.'),
  cacheTtlMs: milliseconds(0).default(60_000).describe('How long a key out of the store is believed; keys of the document are at hand and need no cache.'),
  forwardCredential: forwardCredential(false),
  ...common,
})

const basic = z.strictObject({
  type: z.literal('basic'),
  users: z.record(z.string().regex(/^[^:\x00-\x1f\x7f]{1,128}$/, 'may not hold a colon or control characters'), z.string().regex(PASSWORD_HASH, 'must be scrypt:LOG2N:R:P:SALT:HASH with salt and hash in base64, as scrypt:15:8:1:…')).describe('Password hashes by user name. A user who is a consumer too has the id of it as name.'),
  cacheTtlMs: milliseconds(0).default(60_000).describe('How long a password that was right is believed without scrypt; 0: not at all.'),
  forwardCredential: forwardCredential(false),
  ...common,
})

const hmac = z.strictObject({
  type: z.literal('hmac'),
  secrets: z.record(z.string().regex(/^[\w.@-]{1,128}$/, 'may hold letters, digits and _ . @ -'), text()).describe('Secrets by key id, at least 32 bytes each. A key id that is a consumer\'s id names that consumer.'),
  clockSkewMs: milliseconds(1000).default(30_000).describe('How far the date of a request may be from now, either way.'),
  maxNonces: z.int().min(1000).max(10_000_000).default(100_000).describe('Nonces kept to refuse replays, for twice `clockSkewMs`; when they are full, requests are answered 503.'),
  ...common,
})

const introspection = z.strictObject({
  type: z.literal('introspection'),
  url: text().describe('Introspection endpoint (RFC 7662).'),
  clientId: text().describe('Who the gateway is there.'),
  clientSecret: text().describe('Its secret. Take it from the environment.'),
  timeoutMs: milliseconds().default(2000).describe('An answer that takes longer is a 503.'),
  in: tokenPlace(),
  consumerClaim: text().default('sub').describe('Member of the answer whose value is the id of the consumer.'),
  cacheTtlMs: milliseconds(0).default(30_000).describe('How long an answer is believed, never beyond its `exp`; 0: not at all.'),
  forwardCredential: forwardCredential(true),
  ...common,
})

const cacheKeyPart = z.string().regex(/^(?:ip|method|path|host|(?:header|cookie|query):.+)$/, 'must be ip, method, path, host, header:NAME, cookie:NAME or query:NAME')

const forward = z.strictObject({
  type: z.literal('forward'),
  url: text().describe('Service that decides: 2xx admits, 401 and 403 refuse, all else is a 503. Asked by GET with the headers of the request and X-Forwarded-Method, -Host, -Uri, -For.'),
  timeoutMs: milliseconds().default(2000).describe('An answer that takes longer is a 503.'),
  requestHeaders: z.array(headerName()).nullable().default(null).describe('Headers of the request that the service gets; null: all.'),
  copyHeaders: z.array(headerName()).default([]).describe('Headers of its answer that travel on to the upstream. No client can send them itself, on any route.'),
  subjectHeader: headerName().nullable().default(null).describe('Header of its answer that says who asks; the value is also the id of the consumer.'),
  cacheKey: z.array(cacheKeyPart).min(1).default(['header:authorization']).describe('What a decision depends on: requests that agree in all of these share it while `cacheTtlMs` lasts.'),
  cacheTtlMs: milliseconds(0).default(0).describe('How long a decision is kept; 0: every request asks.'),
  ...common,
})

// In the schema so that its refusal (check-identity.ts) can give the reason.
const mtls = z.strictObject({ type: z.literal('mtls') }).describe('Not supported yet: refused.')

/** How callers show who they are. */
export const authenticator = z.discriminatedUnion('type', [jwt, apiKey, basic, hmac, introspection, forward, mtls])
export const authenticatorName = name

/** What a consumer may use. */
export const plan = z.strictObject({
  requestsPerSecond: z.number().gt(0, 'must be more than 0').max(1_000_000).describe('Sustained rate.'),
  burstRequests: z.int().min(1).max(10_000_000).describe('Requests that may come at once.'),
  quota: z.strictObject({
    requests: z.int().min(1).describe('Requests in a period.'),
    per: z.enum(['day', 'week', 'month']).describe('The period.'),
    timeZone: text().default('UTC').describe('IANA name of the zone in which periods begin.'),
  }).nullable().default(null).describe('How much in a period; null: no quota.'),
})

const key = z.union([
  digest(),
  z.strictObject({
    digest: digest().describe('`sha256:` and the hexadecimal SHA-256 of the key.'),
    expiresAt: z.iso.datetime({ offset: true, error: 'must be a time as 2027-01-31T12:00:00Z' }).nullable().default(null).describe('When the key ends; null: never.'),
  }),
])

/** Somebody who calls. */
export const consumer = z.strictObject({
  id: z.string().regex(/^[\x21-\x7e]{1,128}$/, 'may hold visible ASCII, at most 128').describe('Unique; also the subject of a token, the name of a basic user, the key id of hmac.'),
  plan: text().nullable().default(null).describe('Name of a plan; null: none.'),
  groups: z.array(text()).default([]).describe('Groups that routes can ask for.'),
  keys: z.array(key).max(16).default([]).describe('Digests of API keys, never the keys; two at a time let one replace the other.'),
})

/** What a route asks of its callers. */
export const routeAuth = z.strictObject({
  anyOf: z.array(text()).min(1).optional().describe('Authenticators, of which the first with a credential that holds admits.'),
  allOf: z.array(text()).min(1).optional().describe('Authenticators that all must admit.'),
  groups: z.array(text()).default([]).describe('Groups, of which the consumer must be in one; none: anybody.'),
  scopes: z.array(text()).default([]).describe('Scopes that the token must have, all of them.'),
})

/** Which addresses a route answers. */
export const routeIp = z.strictObject({
  allow: z.array(text()).default([]).describe('Addresses (CIDR) that may call; none: all.'),
  deny: z.array(text()).default([]).describe('Addresses (CIDR) that may not, even where `allow` has them.'),
})

export type AuthenticatorConfig = z.output<typeof authenticator>
export type AuthenticatorOf<Type extends AuthenticatorConfig['type']> = Extract<AuthenticatorConfig, { type: Type }>
export type ConsumerConfig = z.output<typeof consumer>
export type PlanConfig = z.output<typeof plan>
