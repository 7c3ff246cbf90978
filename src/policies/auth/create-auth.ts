import { createPublicKey } from 'node:crypto'
import { readJwk, type VerificationKey } from '../../config/verification-key.ts'
import type { AuthenticatorConfig, AuthenticatorOf, ConsumerConfig } from '../../config/schema-identity.ts'
import { ApiKeyAuthenticator } from './api-key.ts'
import type { AuthDeps, Authenticator } from './authenticator.ts'
import { BasicAuthenticator } from './basic.ts'
import type { VerifiedClaims } from './claims-identity.ts'
import { type Decision, ForwardAuthenticator } from './forward.ts'
import { HmacAuthenticator } from './hmac.ts'
import { HttpCaller } from './http-call.ts'
import { IdentityDirectory } from './identity-directory.ts'
import { IntrospectionAuthenticator } from './introspection.ts'
import { FixedKeys, type JwksSource, SingleKey } from './jwks-source.ts'
import { JwtAuthenticator } from './jwt.ts'
import type { LiveIdentities } from './live-identities.ts'
import { NonceTable, nonceTableBytes } from './nonce-table.ts'
import { PasswordChecks } from './password-check.ts'
import { RemoteJwks } from './remote-jwks.ts'
import { sha256Hex } from './sha256.ts'
import { TokenCache } from './token-cache.ts'

/** The parts of a snapshot that authentication is made of. */
export type AuthSource = {
  readonly authenticators: Readonly<Record<string, AuthenticatorConfig>>
  readonly consumers: readonly ConsumerConfig[]
  /** Content of PEM files by absolute name. */
  readonly files: Readonly<Record<string, string>>
}

export type AuthOptions = {
  /** Never runs backwards, ms. */
  readonly nowMs: () => number
  /** Since 1970, ms: what tokens and dates are compared with. */
  readonly epochMs: () => number
  /** Memory for the nonces of an authenticator, `byteLength` zeros at first and the same for all workers; null: its own. */
  readonly nonceMemory: ((name: string, byteLength: number) => SharedArrayBuffer) | null
  /** Consumers and keys that change at run time; null: none do. */
  readonly live: LiveIdentities | null
  /** Of the runtime before: what it has cached goes on where the authenticator is the same. */
  readonly previous: AuthSet | null
}

/** Everything about authentication that one runtime has. */
export type AuthSet = AuthDeps & {
  readonly directory: IdentityDirectory
  /** What outlives a reload, by all that an authenticator is made of. */
  readonly states: ReadonlyMap<string, AuthState>
}

/** Caches, fetched keys and used nonces of one authenticator; nothing in it depends on the consumers. */
type AuthState =
  | { readonly type: 'jwt'; readonly cache: TokenCache<VerifiedClaims>; readonly keys: JwksSource }
  | { readonly type: 'introspection'; readonly cache: TokenCache<VerifiedClaims>; readonly caller: HttpCaller }
  | { readonly type: 'forward'; readonly cache: TokenCache<Decision>; readonly caller: HttpCaller }
  | { readonly type: 'basic'; readonly cache: TokenCache<string>; readonly checks: PasswordChecks }
  | { readonly type: 'hmac'; readonly nonces: NonceTable }
  | { readonly type: 'api-key' }

/** Makes the authenticators of a snapshot. Opens nothing and fetches nothing; what it throws refuses the snapshot. */
export function createAuth({ authenticators, consumers, files }: AuthSource, options: AuthOptions): AuthSet {
  const directory = new IdentityDirectory(consumers, options.epochMs, sha256Hex, options.live)
  const states = new Map<string, AuthState>()
  const made = new Map<string, Authenticator>()
  const identityHeaders = new Set<string>()
  for (const [name, config] of Object.entries(authenticators)) {
    const pem = config.type === 'jwt' && config.publicKey !== undefined ? files[config.publicKey] ?? '' : ''
    const key = JSON.stringify([name, config, pem])
    const state = options.previous?.states.get(key) ?? createState(name, config, pem, options)
    states.set(key, state)
    made.set(name, createAuthenticator(name, config, state, directory, options.epochMs))
    for (const header of headersOf(config)) identityHeaders.add(header)
  }
  return { authenticators: made, identityHeaders: [...identityHeaders], directory, states }
}

function createState(name: string, config: AuthenticatorConfig, pem: string, options: AuthOptions): AuthState {
  switch (config.type) {
    case 'jwt': return { type: 'jwt', cache: new TokenCache(), keys: keysOf(config, pem, options.nowMs) }
    case 'introspection': return { type: 'introspection', cache: new TokenCache(), caller: new HttpCaller() }
    case 'forward': return { type: 'forward', cache: new TokenCache(), caller: new HttpCaller() }
    case 'basic': return { type: 'basic', cache: new TokenCache(), checks: new PasswordChecks() }
    case 'hmac': {
      const byteLength = nonceTableBytes(config.maxNonces)
      return { type: 'hmac', nonces: new NonceTable(options.nonceMemory?.(name, byteLength) ?? new SharedArrayBuffer(byteLength)) }
    }
    case 'api-key': return { type: 'api-key' }
    case 'mtls': throw new Error(`authenticator '${name}': mtls is not supported`)
  }
}

function keysOf({ secret, publicKey, jwks, jwksUrl, jwksRefreshMs, timeoutMs }: AuthenticatorOf<'jwt'>, pem: string, nowMs: () => number): JwksSource {
  if (secret !== undefined) return new SingleKey(Buffer.from(secret))
  if (publicKey !== undefined) return new SingleKey(createPublicKey(pem))
  if (jwks !== undefined) return new FixedKeys(jwks.keys.map(readJwk).filter((read): read is VerificationKey => !('problem' in read)))
  return new RemoteJwks({ url: jwksUrl!, refreshMs: jwksRefreshMs, timeoutMs, nowMs })
}

function createAuthenticator(name: string, config: AuthenticatorConfig, state: AuthState, directory: IdentityDirectory, epochMs: () => number): Authenticator {
  // A state is found by its config, so both have the same type; the compiler has to be told pair by pair.
  if (config.type === 'jwt' && state.type === 'jwt') return new JwtAuthenticator(name, config, { ...state, directory, epochMs })
  if (config.type === 'introspection' && state.type === 'introspection') return new IntrospectionAuthenticator(name, config, { ...state, directory, epochMs })
  if (config.type === 'forward' && state.type === 'forward') return new ForwardAuthenticator(name, config, { ...state, directory, epochMs })
  if (config.type === 'basic' && state.type === 'basic') return new BasicAuthenticator(name, config, { ...state, directory, epochMs })
  if (config.type === 'hmac' && state.type === 'hmac') return new HmacAuthenticator(name, config, { ...state, directory, epochMs })
  if (config.type === 'api-key') return new ApiKeyAuthenticator(name, config, { directory })
  throw new Error(`authenticator '${name}': ${config.type} is not supported`)
}

function headersOf(config: AuthenticatorConfig): readonly string[] {
  if (config.type === 'mtls') return []
  return [...Object.keys(config.setHeaders), ...(config.type === 'forward' ? config.copyHeaders : [])]
}
