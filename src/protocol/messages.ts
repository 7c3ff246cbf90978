import type { EndpointTable, EndpointTables } from './endpoint-table.ts'

/**
 * What primary and workers tell each other; plain data, cloned on the way. A version is taken over in two steps, so that
 * one worker's refusal leaves the last good version everywhere.
 */
export type ToWorker =
  /** Compile it, open what it listens on, hold it ready. */
  | { readonly type: 'prepare'; readonly parts: SnapshotParts; readonly tables: EndpointTables; readonly nonces: NonceMemories }
  /** Every worker is ready: serve it. */
  | { readonly type: 'commit'; readonly version: string }
  /** Some worker refused: forget it. */
  | { readonly type: 'abandon'; readonly version: string }
  /** Endpoints came, went, or changed their health; for the version that is served and the one that is prepared. */
  | { readonly type: 'endpoints'; readonly upstream: string; readonly table: EndpointTable }
  | IdentitiesMessage
  | { readonly type: 'drain'; readonly timeoutMs: number }

export type FromWorker =
  /** The version that it was started with is served. */
  | { readonly type: 'ready'; readonly version: string }
  | { readonly type: 'prepared'; readonly version: string }
  | { readonly type: 'refused'; readonly version: string; readonly problem: string }
  | { readonly type: 'committed'; readonly version: string }
  /** Whole lines of the access log, as UTF-8; the memory goes with the message. */
  | { readonly type: 'accessLog'; readonly lines: Uint8Array }
  | { readonly type: 'fault'; readonly message: string }
  | { readonly type: 'log'; readonly line: WorkerLogLine }
  /** Something about an upstream that an operator wants in the log; `details` are fields of the line. */
  | { readonly type: 'upstreamEvent'; readonly event: UpstreamEvent; readonly upstream: string; readonly details: Readonly<Record<string, string | number>> }
  /** All exchanges are finished, or their time was over; `cut` of them were open still. */
  | { readonly type: 'drained'; readonly cut: number }

/** A line for the log of the process; nothing secret stands in it. */
export type WorkerLogLine = { readonly level: 'info' | 'warn'; readonly event: string; readonly details: Readonly<Record<string, string | number>> }

/** One for all workers: token buckets and leases, and what is under way. */
export type LimitMemories = { readonly limits: SharedArrayBuffer; readonly concurrency: SharedArrayBuffer }

export type UpstreamEvent = 'endpointEjected' | 'breakerChanged' | 'mirrorReport' | 'panic'

/**
 * A snapshot on its way to the workers: JSON in memory that all of them share, in pieces that each take a worker a
 * millisecond or so. A document of 50,000 routes in one message would stop every exchange while it is read.
 */
export type SnapshotParts = {
  readonly version: string
  /** UTF-8 JSON, piece after piece: first the snapshot without its routes, then lists of routes. */
  readonly bytes: SharedArrayBuffer
  /** Where each piece ends. */
  readonly ends: readonly number[]
  readonly listeners: readonly ListenerPart[]
}

/** An address to listen on, with the port that was found for port 0, and its certificates as files. */
export type ListenerPart = {
  /** Same key, same listener: it lives on over a reload. Changes with the content of its certificates. */
  readonly key: string
  /** As the document has it. */
  readonly address: string
  readonly host: string
  readonly port: number
  readonly tls: ListenerTlsPart | null
}

export type ListenerTlsPart = {
  readonly certificates: readonly { readonly hosts: readonly string[]; readonly certFile: string; readonly keyFile: string }[]
}

/**
 * Who may call: consumers and keys of the document and of the store. `isWhole`: it replaces all that was told before; else
 * it is a change to it: consumers by `id` and keys by `digest` are added or replaced, revoked digests are removed.
 */
export type IdentitiesMessage = {
  readonly type: 'identities'
  readonly isWhole: boolean
  readonly consumers: readonly IdentityConsumer[]
  readonly keys: readonly IdentityKey[]
  /** Digests that are refused from now on, also where an answer about them is cached. */
  readonly revoked: readonly string[]
}

export type IdentityConsumer = { readonly id: string; readonly plan: string | null; readonly groups: readonly string[] }

export type IdentityKey = {
  /** SHA-256 of the key's UTF-8 bytes, 64 hexadecimal digits in lower case. */
  readonly digest: string
  readonly consumerId: string
  /** null: that of its consumer. */
  readonly plan: string | null
  /** Milliseconds since 1970; null: never. The worker refuses it from then on. */
  readonly expiresAtMs: number | null
}

export type WorkerData = { readonly parts: SnapshotParts; readonly tables: EndpointTables; readonly nonces: NonceMemories; readonly identities: IdentitiesMessage; readonly memories: LimitMemories }

/** Zeros at first, shared by all workers; by name of an authenticator. */
export type NonceMemories = Readonly<Record<string, SharedArrayBuffer>>
