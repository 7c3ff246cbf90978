import { createHash, timingSafeEqual } from 'node:crypto'
import { isLoopback } from '../../config/loopback.ts'
import { AdminProblem } from './problem.ts'

type RequestHeaders = { readonly host?: string | undefined; readonly origin?: string | undefined; readonly authorization?: string | undefined }

/**
 * Lets a request in, or throws AdminProblem. `token` null: the server listens on loopback, and whoever can connect may
 * ask. That is every program of this machine, and must not be every web page that a browser of this machine shows:
 * - by DNS rebinding, a page's own name leads here; then Host is that name;
 * - a page of another origin may send simple requests, with Origin.
 */
export function createGuard(token: string | null): (headers: RequestHeaders) => void {
  if (token === null) return admitLocal
  const expected = digest(token)
  return ({ authorization = '' }) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? ''
    // Of digests: they have the same length, and how long the comparison takes tells nothing about the token.
    if (timingSafeEqual(digest(given), expected)) return
    throw new AdminProblem('ADMIN_UNAUTHORIZED', 'send the token of the document as Authorization: Bearer', { 'www-authenticate': 'Bearer realm="penstock admin"' })
  }
}

function admitLocal({ host = '', origin }: RequestHeaders): void {
  const name = /^(\[[^\]]*\]|[^:]*)(?::\d{1,5})?$/.exec(host)?.[1] ?? ''
  if (!isLoopback(name.replace(/^\[|\]$/g, ''))) {
    throw new AdminProblem('ADMIN_FORBIDDEN', 'without a token, Host must be 127.0.0.1, [::1] or localhost: ask for the API by one of these, or set admin.token')
  }
  if (origin !== undefined && origin.toLowerCase() !== `http://${host.toLowerCase()}`) {
    throw new AdminProblem('ADMIN_FORBIDDEN', 'without a token, no page of another origin is served: set admin.token')
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
