import { createHash } from 'node:crypto'
import { RedisError } from './redis-error.ts'
import type { Fence, RedisArgument, RedisNode } from './redis-node.ts'

/** A Lua script that Redis is sent by its digest, and whole only where it does not know it (after a start, or SCRIPT FLUSH). */
export class Script {
  readonly #source: string
  readonly #digest: string

  constructor(source: string) {
    this.#source = source
    this.#digest = createHash('sha1').update(source).digest('hex')
  }

  /** Rejects with RedisError. `fence`: the connection that the arguments are meant for, also at the second attempt. */
  async run(node: RedisNode, keys: readonly string[], args: readonly RedisArgument[], fence: Fence | null = node.fence): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    try {
      return await node.send('EVALSHA', [this.#digest, ...rest], fence)
    } catch (cause) {
      if (!(cause instanceof RedisError) || cause.reply !== 'NOSCRIPT') throw cause
      return node.send('EVAL', [this.#source, ...rest], fence)
    }
  }
}
