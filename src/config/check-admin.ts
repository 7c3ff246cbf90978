import { parseAddress } from './address.ts'
import type { Checkable } from './checkable.ts'
import type { FindingList } from './finding-list.ts'
import { isLoopback } from './loopback.ts'

const MIN_TOKEN_CHARACTERS = 16
const MAKE_ONE = 'make one with `openssl rand -hex 32` and give it as ${PENSTOCK_ADMIN_TOKEN}'

/** Where the admin API listens, and that nobody from elsewhere reaches it without a token that can't be guessed. */
export function checkAdmin({ admin, listeners }: Checkable, list: FindingList): void {
  if (admin === null || admin === undefined) return
  const { token } = admin
  // What it is never stands in a message, wherever it came from.
  if (token !== null && !/^[\x21-\x7e]+$/.test(token)) {
    list.add(['admin', 'token'], `may hold visible ASCII without spaces only: ${MAKE_ONE}`)
  } else if (token !== null && token.length < MIN_TOKEN_CHARACTERS) {
    list.add(['admin', 'token'], `must have at least ${MIN_TOKEN_CHARACTERS} characters: ${MAKE_ONE}`)
  }
  const path = ['admin', 'address']
  const address = parseAddress(admin.address)
  if ('problem' in address) {
    list.add(path, `${list.quote(path, admin.address)}: ${address.problem}`)
    return
  }
  if (token === null && !isLoopback(address.host)) {
    list.add(path, `${list.quote(path, admin.address)} can be reached from other machines, and there is no token: listen on 127.0.0.1, or add 'token' (${MAKE_ONE})`)
  }
  const taken = address.port === 0 ? -1 : listeners.findIndex(listener => listener?.address.toLowerCase() === admin.address.toLowerCase())
  if (taken !== -1) list.add(path, `${list.quote(path, admin.address)} is the address of /listeners/${taken} already: take another port`)
}
