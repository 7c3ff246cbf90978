import { Failure } from '../base/failure.ts'

/** What an error before the connection stood means. */
export function failureOfConnect(cause: NodeJS.ErrnoException): Failure {
  const code = cause.code ?? ''
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) return new Failure('GW_UPSTREAM_UNRESOLVED', code)
  if (code === 'ETIMEDOUT') return new Failure('GW_UPSTREAM_CONNECT_TIMEOUT', code)
  // What a handshake ends with: OpenSSL's own codes, Node's, and the names of X.509 verification errors.
  if (/^(ERR_TLS|ERR_SSL|EPROTO|CERT_|UNABLE_TO_|DEPTH_ZERO|SELF_SIGNED|HOSTNAME_MISMATCH|INVALID_)/.test(code)) {
    return new Failure('GW_UPSTREAM_TLS', code)
  }
  return new Failure('GW_UPSTREAM_REFUSED', code === '' ? cause.message : code)
}

export function failureOfReset(cause: string): Failure {
  return new Failure('GW_UPSTREAM_RESET', cause)
}
