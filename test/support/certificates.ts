import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Writes a self-signed certificate for `names` into `folder`; answers where. Needs the openssl command. */
export function makeCertificate(folder: string, file: string, names: readonly string[]): { cert: string; key: string } {
  const cert = join(folder, `${file}.pem`)
  const key = join(folder, `${file}.key`)
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', `/CN=${names[0]}`,
    '-addext', `subjectAltName=${names.map(name => `DNS:${name}`).join(',')}`, '-keyout', key, '-out', cert,
  ], { stdio: 'ignore' })
  return { cert, key }
}
