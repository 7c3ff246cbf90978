import { isIP } from 'node:net'

/** Whether only this machine can connect to a host: `localhost`, 127.0.0.0/8, ::1. An IPv6 host without its brackets. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith('127.')
  // The parser of URLs knows all ways of writing ::1.
  if (isIP(host) === 6 && !host.includes('%')) return new URL(`http://[${host}]`).hostname === '[::1]'
  return host.toLowerCase() === 'localhost'
}
