/** One finished exchange. Sizes are bytes of bodies, times are milliseconds; null where there is nothing to tell. */
export type AccessRecord = {
  readonly requestId: string
  readonly client: string
  readonly method: string
  readonly host: string
  readonly path: string
  /** Redacted; null when the document does not ask for it. */
  readonly query: string | null
  readonly headers: Readonly<Record<string, string>> | null
  readonly route: string | null
  /** Who asked; null: nobody known. */
  readonly consumer: string | null
  readonly status: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly durationMs: number
  /** Until the head of the final answer. */
  readonly headMs: number | null
  readonly upstream: string | null
  readonly endpoint: string | null
  readonly tries: number
  readonly failure: string | null
  readonly cause: string | null
  readonly version: string
}

/** Where whole lines go; called with many at once, as UTF-8. The block is the sink's to keep. */
export type LineSink = (lines: Uint8Array<ArrayBuffer>) => void

const BLOCK_BYTES = 65_536
const FLUSH_MS = 100

/**
 * Formats exchanges as lines of JSON and hands them on in blocks: one message for hundreds of lines. The primary alone
 * writes them, by way of pino's destination, so lines of two workers never run into each other.
 *
 * The line is put together here and not by a logger: a logger that knows no fields beforehand took four times as long,
 * and a log line is paid for by every request (bench scenario access-log).
 */
export class AccessLog {
  readonly #sink: LineSink
  #block: Buffer<ArrayBuffer> | null = null
  #length = 0
  #timer: NodeJS.Timeout | null = null

  constructor(sink: LineSink) {
    this.#sink = sink
  }

  write(record: AccessRecord): void {
    const line = formatLine(record, Date.now())
    // UTF-8 takes at most three bytes for what counts as one character here.
    const most = line.length * 3
    if (this.#block !== null && this.#length + most > this.#block.length) this.flush()
    this.#block ??= Buffer.from(new ArrayBuffer(Math.max(BLOCK_BYTES, most)))
    this.#length += this.#block.write(line, this.#length)
    this.#timer ??= setTimeout(() => this.flush(), FLUSH_MS)
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    if (this.#block === null) return
    const lines = this.#block.subarray(0, this.#length)
    this.#block = null
    this.#length = 0
    this.#sink(lines)
  }
}

/** `timeMs`: since 1970. Every string that a client or an upstream had a part in is escaped. */
export function formatLine(record: AccessRecord, timeMs: number): string {
  let line = `{"type":"access","time":${timeMs},"requestId":${text(record.requestId)},"client":"${record.client}",` +
    `"method":${text(record.method)},"host":${text(record.host)},"path":${text(record.path)},`
  if (record.query !== null) line += `"query":${text(record.query)},`
  if (record.headers !== null) line += `"headers":${JSON.stringify(record.headers)},`
  line += `"route":${quoted(record.route)},"consumer":${record.consumer === null ? 'null' : text(record.consumer)},"status":${record.status},"bytesIn":${record.bytesIn},"bytesOut":${record.bytesOut},` +
    `"durationMs":${milliseconds(record.durationMs)},"headMs":${record.headMs === null ? 'null' : milliseconds(record.headMs)},` +
    `"upstream":${quoted(record.upstream)},"endpoint":${quoted(record.endpoint)},"tries":${record.tries},`
  line += record.failure === null ? '"failure":null,' : `"failure":"${record.failure}","cause":${record.cause === null ? 'null' : text(record.cause)},`
  return `${line}"version":"${record.version}"}\n`
}

const text = (value: string): string => JSON.stringify(value)
/** For names out of the document, which hold nothing that needs an escape. */
const quoted = (value: string | null): string => (value === null ? 'null' : `"${value}"`)
/** To ten microseconds: more digits cost bytes and tell nothing. */
const milliseconds = (value: number): number => Math.round(value * 100) / 100

/**
 * Takes what must not be logged out of a query. Names compare without regard to case; a parameter that is not named
 * stays as it was sent.
 */
export function redactQuery(query: string, redact: ReadonlySet<string>): string {
  if (query === '') return query
  return query.split('&').map(pair => {
    const name = pair.split('=', 1)[0]!
    return redact.has(decodeName(name)) ? `${name}=[redacted]` : pair
  }).join('&')
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name.replaceAll('+', ' ')).toLowerCase()
  } catch {
    return name.toLowerCase()
  }
}
