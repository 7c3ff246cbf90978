import type { HttpResponse } from 'uWebSockets.js'

/**
 * The addresses at the other end of a listener's connections. uWebSockets.js asks the system for one at each request and
 * makes an ArrayBuffer of it, a tenth of what a small exchange costs. Behind a proxy or a balancer all connections come
 * from one address: then it is asked once a connection, and `of` answers the same object again and again.
 *
 * uWebSockets.js tells that a connection has ended, but not which. So two addresses count as two until none is left.
 */
export class RemoteAddresses {
  #sole: ArrayBuffer | null = null
  #openCount = 0
  #isMixed = false

  /** `change`: 1 for a connection that was accepted, -1 for one that has ended. */
  onConnection(response: HttpResponse, change: number): void {
    this.#openCount += change
    if (change < 0) return
    const address = response.getRemoteAddress()
    if (this.#openCount === 1) {
      this.#sole = address
      this.#isMixed = false
    } else if (this.#sole === null || !isSame(this.#sole, address)) this.#isMixed = true
  }

  /** 4 or 16 bytes; valid as long as the caller likes. */
  of(response: HttpResponse): ArrayBuffer {
    return this.#isMixed || this.#sole === null ? response.getRemoteAddress() : this.#sole
  }
}

function isSame(left: ArrayBuffer, right: ArrayBuffer): boolean {
  return Buffer.from(left).equals(Buffer.from(right))
}
