import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConsumerRecord, KeyRecord } from './identity-store.ts'

/** Of the files; one that is higher was written by a later Penstock. */
const SCHEMA_VERSION = 1

/** A consumer with its keys; `record` is null for one that only the document names. */
export type Entry = { readonly record: ConsumerRecord | null; readonly keys: readonly KeyRecord[] }

/** What one file holds, by id of the consumer. */
export type Entries = ReadonlyMap<string, Entry>

/**
 * Name of the file that a consumer stands in: one of 256, so that a write costs the same with a thousand consumers as with
 * one, and stays in the milliseconds with a million.
 */
export function fileNameOf(consumerId: string): string {
  return `identities-${createHash('sha256').update(consumerId).digest('hex').slice(0, 2)}.json`
}

export const IDENTITY_FILE = /^identities-[0-9a-f]{2}\.json$/

export function printEntries(entries: Entries): string {
  const consumers: ConsumerRecord[] = []
  const keys: KeyRecord[] = []
  for (const entry of entries.values()) {
    if (entry.record !== null) consumers.push(entry.record)
    keys.push(...entry.keys)
  }
  return `${JSON.stringify({ schemaVersion: SCHEMA_VERSION, consumers, keys })}\n`
}

/** Throws an Error that names the file: keys that can't be read must not be forgotten, nor their revocations. */
export function readEntries(file: string): Map<string, Entry> {
  const content = parse(file)
  const entries = new Map<string, { record: ConsumerRecord | null; keys: KeyRecord[] }>()
  for (const record of content.consumers) {
    if (!isConsumer(record)) throw damaged(file, 'an entry of \'consumers\' is not what this program writes')
    entries.set(record.id, { record, keys: [] })
  }
  for (const key of content.keys) {
    if (!isKey(key)) throw damaged(file, 'an entry of \'keys\' is not what this program writes')
    const entry = entries.get(key.consumerId)
    if (entry === undefined) entries.set(key.consumerId, { record: null, keys: [key] })
    else entry.keys.push(key)
  }
  return entries
}

function parse(file: string): { readonly consumers: readonly unknown[]; readonly keys: readonly unknown[] } {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw damaged(file, 'is not JSON')
  }
  const { schemaVersion, consumers, keys } = (content ?? {}) as Record<string, unknown>
  if (typeof schemaVersion === 'number' && schemaVersion > SCHEMA_VERSION) {
    throw new Error(`${file} has version ${schemaVersion}, this program knows ${SCHEMA_VERSION}: run the Penstock that wrote it, or a later one`)
  }
  if (schemaVersion !== SCHEMA_VERSION || !Array.isArray(consumers) || !Array.isArray(keys)) throw damaged(file, 'is not what this program writes')
  return { consumers, keys }
}

const damaged = (file: string, problem: string): Error => new Error(`${file}: ${problem}: bring it back from a backup, or delete it and make its keys anew`)

const isText = (value: unknown): value is string => typeof value === 'string'
const isTime = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)

function isConsumer(value: unknown): value is ConsumerRecord {
  const { id, plan, groups, createdAtMs } = (value ?? {}) as Record<string, unknown>
  return isText(id) && (plan === null || isText(plan)) && Array.isArray(groups) && groups.every(isText) && isTime(createdAtMs)
}

function isKey(value: unknown): value is KeyRecord {
  const key = (value ?? {}) as Record<string, unknown>
  return [key['id'], key['prefix'], key['lastFour'], key['consumerId']].every(isText)
    && isText(key['digest']) && /^[0-9a-f]{64}$/.test(key['digest'])
    && (key['plan'] === null || isText(key['plan'])) && isTime(key['createdAtMs'])
    && [key['expiresAtMs'], key['revokedAtMs']].every(time => time === null || isTime(time))
}
