import { connect as connectTcp, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import type { EndpointAddress } from '../../upstream/endpoint.ts'

/** What a handshake with `host` is made with. */
export type TlsOptions = (host: string) => ConnectionOptions
/** Called once, never before the probe function returned; null is a success, else a few words on what was wrong. */
export type OnProbeEnd = (problem: string | null) => void
/** Cuts a probe off, then it has no end; does nothing to one that has ended. */
export type CancelProbe = () => void

/** Succeeds as soon as the connection stands, with `https` the handshake too; then closes it. */
export function probeTcp(address: EndpointAddress, tlsOptions: TlsOptions, onEnd: OnProbeEnd): CancelProbe {
  const socket = openSocket(address, tlsOptions)
  let isOver = false
  const end = (problem: string | null): void => {
    if (isOver) return
    isOver = true
    // Takes leave (TLS close_notify) instead of a reset, which some servers log as an attack.
    socket.destroySoon()
    onEnd(problem)
  }
  socket.once(address.isTls ? 'secureConnect' : 'connect', () => end(null))
  socket.on('error', cause => end(problemOf(cause)))
  socket.on('close', () => end('closed'))
  return () => {
    if (isOver) return
    isOver = true
    socket.destroy()
  }
}

/** A fresh connection, made as those of the data path are. Its errors come as events. */
export function openSocket({ host, port, name, isTls }: EndpointAddress, tlsOptions: TlsOptions): Socket {
  return isTls ? connectTls({ ...tlsOptions(name ?? host), host, port }) : connectTcp({ host, port })
}

export function problemOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException
  return code ?? message
}
