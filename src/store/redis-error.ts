/**
 * `unavailable`: not sent, there is no connection. `timeout`, `lost`: sent, and whether it was done is not known.
 * `moved`: another server has the key, or the connection is no longer the one that was meant. `refused`: an error reply.
 */
export type RedisErrorCode = 'unavailable' | 'timeout' | 'lost' | 'moved' | 'refused'

/** A command that has no good answer. Holds no argument of the command, and of an error reply its first word only. */
export class RedisError extends Error {
  override readonly name = 'RedisError'
  readonly code: RedisErrorCode
  /** First word of an error reply, as NOSCRIPT; null: there was none. */
  readonly reply: string | null

  constructor(code: RedisErrorCode, reason: string, reply: string | null = null) {
    super(`redis: ${reason}`)
    this.code = code
    this.reply = reply
  }
}

/**
 * What a log may say of an error of the client: its code, or the first word of an error reply. Not the message: Redis repeats
 * in it what it was sent, which may be a password (`ERR unknown command 'HELLO', with args beginning with: …`).
 */
export function reasonOf(cause: unknown): string {
  if (cause instanceof RedisError) return cause.message
  const { code, message = '' } = cause as { code?: unknown; message?: string }
  if (typeof code === 'string') return code
  return replyWord(message) ?? WORDS.find(([start]) => message.startsWith(start))?.[1] ?? 'connection failed'
}

const WORDS: readonly (readonly [start: string, reason: string])[] = [
  ['Command timed out', 'no answer in time'],
  ['Connection is closed', 'connection closed'],
  ['All sentinels are unreachable', 'no sentinel answers, or none knows the master'],
]

/** First word of an error reply, or null where the text is none. */
export function replyWord(message: string): string | null {
  return /^([A-Z][A-Z0-9]{2,})(?: |$)/.exec(message)?.[1] ?? null
}
