import { createHash } from 'node:crypto'
import type { ListenerConfig } from '../config/schema.ts'
import type { Snapshot } from '../config/snapshot.ts'
import type { ListenerPart, SnapshotParts } from '../protocol/messages.ts'
import { addressOf } from './ports.ts'

/** Routes in one piece: parsed and compiled in about a millisecond. */
const ROUTES_PER_PIECE = 100

/** A snapshot as it travels to the workers; ports as the document has them. */
export function toParts(snapshot: Snapshot): SnapshotParts {
  const { routes, ...document } = snapshot.document
  const pieces = [Buffer.from(JSON.stringify({ document, files: snapshot.files }))]
  for (let at = 0; at < routes.length; at += ROUTES_PER_PIECE) {
    pieces.push(Buffer.from(JSON.stringify(routes.slice(at, at + ROUTES_PER_PIECE))))
  }
  const ends: number[] = []
  let total = 0
  for (const piece of pieces) ends.push(total += piece.length)
  const bytes = new SharedArrayBuffer(total)
  const target = Buffer.from(bytes)
  pieces.forEach((piece, index) => piece.copy(target, ends[index - 1] ?? 0))
  return {
    version: snapshot.version,
    bytes,
    ends,
    listeners: snapshot.document.listeners.map(listener => listenerPart(listener, snapshot)),
  }
}

/** With the port that was found for each listener's address. */
export function withPorts(parts: SnapshotParts, ports: ReadonlyMap<string, number>): SnapshotParts {
  return { ...parts, listeners: parts.listeners.map(listener => ({ ...listener, port: ports.get(listener.address) ?? listener.port })) }
}

function listenerPart(listener: ListenerConfig, snapshot: Snapshot): ListenerPart {
  const { host, port } = addressOf(listener.address)
  const tls = listener.tls === undefined ? null : {
    certificates: listener.tls.certificates.map(({ hosts, cert, key }) => ({ hosts, certFile: cert, keyFile: key })),
  }
  const hash = createHash('sha256').update(JSON.stringify([listener.address, tls]))
  // A certificate that was renewed under its old name makes a new listener.
  for (const { certFile, keyFile } of tls?.certificates ?? []) {
    hash.update(snapshot.files[certFile] ?? '').update(snapshot.files[keyFile] ?? '')
  }
  return { key: hash.digest('base64url'), address: listener.address, host, port, tls }
}
