import type { Socket } from 'node:net'
import { setTimeout as timeout } from 'node:timers/promises'

export type UpstreamRequest = {
  /** Counted over all connections, from 1. */
  readonly index: number
  /** With its empty line. */
  readonly head: string
  readonly method: string
  readonly target: string
}

/**
 * What an upstream does in one turn. `connect`: as soon as a connection is accepted, or a request comes on an old one;
 * `head`: before the body of a request is read, which goes on beside it; `request`: when all of a request was read.
 * The next request on the connection waits for the end of the turn.
 */
export type Behaviour =
  | { readonly when: 'connect'; readonly act: (socket: Socket) => void | Promise<void> }
  | { readonly when: 'head' | 'request'; readonly act: (socket: Socket, request: UpstreamRequest) => void | Promise<void> }

/** So that what was written before stands in the peer's buffer: a reset behind it destroys nothing of it. */
const ARRIVAL_MS = 20

// A timer never keeps a test from its end.
const sleep = (ms: number): Promise<void> => timeout(ms, undefined, { ref: false })
const onRequest = (act: (socket: Socket, request: UpstreamRequest) => void | Promise<void>): Behaviour => ({ when: 'request', act })
const bodyFor = ({ target }: UpstreamRequest): string => `number ${target.split('?', 1)[0]!.split('/').at(-1)}`
const headFor = (byteCount: number, status = '200 OK', lines: readonly string[] = []): string =>
  [`HTTP/1.1 ${status}`, ...lines, `Content-Length: ${byteCount}`, '', ''].join('\r\n')
const wholeFor = (request: UpstreamRequest, lines: readonly string[] = []): string => {
  const body = request.method === 'HEAD' ? '' : bodyFor(request)
  return headFor(bodyFor(request).length, '200 OK', lines) + body
}

/** `/n/NUMBER` is answered with `number NUMBER`, on a connection that is kept. */
export function answers(options: { readonly delayMs?: number; readonly lines?: readonly string[] } = {}): Behaviour {
  return onRequest(async (socket, request) => {
    if (options.delayMs !== undefined) await sleep(options.delayMs)
    socket.write(wholeFor(request, options.lines))
  })
}

/** One latency a turn; the last goes on. */
export function answersSlower(delaysMs: readonly number[]): Behaviour[] {
  return delaysMs.map(delayMs => answers({ delayMs }))
}

/** The answer to another request: what must never reach a client, and what an accounting has to find. */
export function answersAs(number: string): Behaviour {
  return onRequest((socket, request) => { socket.write(wholeFor({ ...request, target: `/n/${number}` })) })
}

/** The body is `status STATUS`. */
export function answersStatus(status: number, options: { readonly retryAfterSeconds?: number } = {}): Behaviour {
  const lines = options.retryAfterSeconds === undefined ? [] : [`Retry-After: ${options.retryAfterSeconds}`]
  const body = `status ${status}`
  return onRequest((socket, request) => { socket.write(headFor(body.length, `${status} Burst`, lines) + (request.method === 'HEAD' ? '' : body)) })
}

/** `status` for the next `count` turns, then answers. */
export function bursts(count: number, status = 503, options: { readonly retryAfterSeconds?: number } = {}): Behaviour[] {
  return [...Array.from({ length: count }, () => answersStatus(status, options)), answers()]
}

/** Takes the request and never says a word. */
export const saysNothing = (): Behaviour => onRequest(() => {})

/** Takes the head, and then nothing more out of its socket until the upstream is told to behave in another way. */
export const readsNothing = (): Behaviour => ({
  when: 'head',
  act: socket => new Promise(resolve => {
    socket.pause()
    socket.once('resume', resolve)
  }),
})

/** A FIN as soon as the connection stands. A reset could arrive before the peer has seen that it stands. */
export const closesAtOnce = (): Behaviour => ({
  when: 'connect',
  act: socket => {
    socket.end()
    socket.resume()
  },
})

/** The head of a proper answer comes one byte at a time; its body at once. */
export function headByteByByte(delayMs: number): Behaviour {
  return onRequest(async (socket, request) => {
    const whole = wholeFor(request)
    const end = whole.indexOf('\r\n\r\n') + 4
    for (let at = 0; at < end && !socket.destroyed; at++) {
      socket.write(whole[at]!)
      await sleep(delayMs)
    }
    socket.write(whole.slice(end))
  })
}

/** RST after so many bytes of the head, or after the whole head and so many bytes of the body. */
export function resets(after: { readonly headBytes: number } | { readonly bodyBytes: number }): Behaviour {
  return onRequest(async (socket, request) => {
    const whole = wholeFor(request)
    const byteCount = 'headBytes' in after ? after.headBytes : whole.indexOf('\r\n\r\n') + 4 + after.bodyBytes
    if (byteCount > 0) {
      socket.write(whole.slice(0, byteCount))
      await sleep(ARRIVAL_MS)
    }
    socket.resetAndDestroy()
  })
}

/** A chunked body that goes on until the peer has enough of it. */
export function neverEnds(options: { readonly pieceBytes?: number; readonly everyMs?: number } = {}): Behaviour {
  const { pieceBytes = 1024, everyMs = 5 } = options
  const piece = `${pieceBytes.toString(16)}\r\n${'x'.repeat(pieceBytes)}\r\n`
  return onRequest(async socket => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    while (!socket.destroyed) {
      // Nothing piles up here when the peer reads slowly.
      if (!socket.writableNeedDrain) socket.write(piece)
      await sleep(everyMs)
    }
  })
}

/** Head and the first half of the body, then silence. */
export const stalls = (): Behaviour => onRequest((socket, request) => {
  const whole = wholeFor(request)
  socket.write(whole.slice(0, whole.length - 4))
})

/**
 * Content-Length says more than comes before the close, or less than comes. `surplus` stands behind the announced end,
 * in the same write.
 */
export function wrongLength(kind: 'tooShort'): Behaviour
export function wrongLength(kind: 'tooLong', surplus?: string): Behaviour
export function wrongLength(kind: 'tooShort' | 'tooLong', surplus = 'surplus'): Behaviour {
  return onRequest((socket, request) => {
    if (kind === 'tooLong') socket.write(wholeFor(request) + surplus)
    else socket.end(headFor(bodyFor(request).length + 10) + bodyFor(request))
  })
}

/** A chunked answer that closes before its last chunk. */
export const cutsChunks = (): Behaviour => onRequest((socket, request) => {
  const body = bodyFor(request)
  socket.end(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n`)
})

/** Before the body of the request was read; then it reads on, or closes. */
export function answersEarly(then: 'reads' | 'closes'): Behaviour {
  return {
    when: 'head',
    act: (socket, request) => {
      if (then === 'reads') socket.write(wholeFor(request))
      else socket.end(wholeFor(request, ['Connection: close']))
    },
  }
}

/** After each answer; not announced, it looks like a connection that may be used again. */
export function closesAfter(options: { readonly isAnnounced: boolean }): Behaviour {
  return onRequest((socket, request) => { socket.end(wholeFor(request, options.isAnnounced ? ['Connection: close'] : [])) })
}

/** FIN behind an answer, or in place of one; it goes on reading, and never answers again. */
export function halfCloses(options: { readonly answers: boolean }): Behaviour {
  return onRequest((socket, request) => new Promise(() => {
    if (options.answers) socket.write(wholeFor(request))
    socket.end()
    socket.resume()
  }))
}

/** No HTTP, or `bytes`. */
export const garbage = (bytes = 'garbage\r\n\r\n'): Behaviour => onRequest(socket => { socket.write(bytes) })

/** So many interim answers before the final one. */
export function interim(count: number, delayMs = 0): Behaviour {
  return onRequest(async (socket, request) => {
    for (let i = 0; i < count && !socket.destroyed; i++) {
      socket.write('HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n')
      if (delayMs > 0) await sleep(delayMs)
    }
    socket.write(wholeFor(request))
  })
}
