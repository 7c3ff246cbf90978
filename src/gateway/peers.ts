import { BlockList, isIP } from 'node:net'

/** Who is at the other end of a connection. One object an address, so what follows from it is worked out once. */
export type Peer = {
  /** In the usual short form; an IPv4 address that came as IPv6 is in its own form. */
  readonly address: string
  /** Its X-Forwarded-*, Forwarded and X-Request-Id are believed. */
  readonly isTrusted: boolean
  /** As a node of Forwarded (RFC 7239 section 6). */
  readonly forwardedNode: string
}

/** In one number where it fits: the key of an IPv4 address costs no string. */
type PeerKey = number | string

/** Beyond it the table starts anew: a scan from many addresses costs time, not memory. */
const MAX_PEERS = 10_000

/** Addresses as uWS gives them, and which of them are trusted proxies. */
export class Peers {
  readonly #trusted = new BlockList()
  readonly #isAnyTrusted: boolean
  #peers = new Map<PeerKey, Peer>()
  #last: ArrayBuffer | null = null
  #lastPeer: Peer | null = null

  /** `trusted`: addresses or CIDR ranges, validated before. */
  constructor(trusted: readonly string[]) {
    for (const range of trusted) {
      const [address, bits] = range.split('/') as [string, string | undefined]
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4'
      if (bits === undefined) this.#trusted.addAddress(address, family)
      else this.#trusted.addSubnet(address, Number(bits), family)
    }
    this.#isAnyTrusted = trusted.length > 0
  }

  /** `binary`: 4 or 16 bytes, as uWS gives them. */
  of(binary: ArrayBuffer): Peer {
    if (binary === this.#last) return this.#lastPeer!
    this.#last = binary
    return this.#lastPeer = this.#find(binary)
  }

  #find(binary: ArrayBuffer): Peer {
    const bytes = new Uint8Array(binary)
    const key = bytes.length === 4
      ? (bytes[0]! << 24) | (bytes[1]! << 16) | (bytes[2]! << 8) | bytes[3]!
      : Buffer.from(binary).toString('latin1')
    return this.#peers.get(key) ?? this.#add(key, addressOf(bytes))
  }

  #add(key: PeerKey, address: string): Peer {
    const peer = {
      address,
      isTrusted: this.#isTrusted(address),
      forwardedNode: address.includes(':') ? `"[${address}]"` : address,
    }
    if (this.#peers.size >= MAX_PEERS) this.#peers = new Map()
    this.#peers.set(key, peer)
    return peer
  }

  /** The client behind trusted proxies: from the right, the first address that is not one of theirs. */
  clientOf(peer: Peer, forwardedFor: string | undefined): string {
    if (!peer.isTrusted || forwardedFor === undefined) return peer.address
    const hops = forwardedFor.split(',')
    let client = peer.address
    for (let i = hops.length - 1; i >= 0; i--) {
      const hop = hops[i]!.trim().replace(/^\[(.*)\](?::\d+)?$/, '$1').replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
      if (isIP(hop) === 0) return client
      client = hop
      if (!this.#isTrusted(hop)) return client
    }
    return client
  }

  #isTrusted(address: string): boolean {
    const family = isIP(address)
    return this.#isAnyTrusted && family !== 0 && this.#trusted.check(address, family === 6 ? 'ipv6' : 'ipv4')
  }
}

/** IPv6 by RFC 5952, by way of the URL parser, which writes addresses in just that form. */
function addressOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const isMapped = bytes.subarray(0, 10).every(byte => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  if (isMapped) return bytes.subarray(12).join('.')
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
