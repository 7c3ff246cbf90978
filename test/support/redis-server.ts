import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Redis } from 'ioredis'
import { redis as redisSchema, type RedisConfig } from '../../src/config/schema-redis.ts'

const START_ATTEMPTS = 5
const POLL_MS = 20

export type RedisServerOptions = {
  /** Lines of redis.conf as arguments: `['--appendonly', 'yes']`. */
  readonly args?: readonly string[]
  readonly password?: string
  /** Command of `redis-server`: `sentinel` needs a file that it may write. */
  readonly file?: (folder: string, port: number) => string
  /** Plain connections for `command` and readiness; a server with TLS alone has other ones. */
  readonly clientOptions?: object
}

/** Path of a command, or null where PATH has none. */
export function findCommand(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // The next folder may have it.
    }
  }
  return null
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as { port: number }
  await new Promise<void>(resolve => server.close(() => resolve()))
  return port
}

/** A configuration as the schema makes it. */
export function redisConfig(input: object): RedisConfig {
  return redisSchema.parse(input)
}

/** A real redis-server on the loopback, in a folder of its own, that can be killed and stopped as the system does it. */
export class RedisServer {
  readonly folder: string
  readonly #options: RedisServerOptions
  #process: ChildProcess | null = null
  #port = 0
  #isPaused = false
  // One that is stopped by a signal would outlive this process.
  readonly #onExit = (): void => { this.#process?.kill('SIGKILL') }

  private constructor(options: RedisServerOptions) {
    this.#options = options
    this.folder = mkdtempSync(join(tmpdir(), 'penstock-redis-'))
    process.on('exit', this.#onExit)
  }

  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    if (findCommand('redis-server') === null) throw new Error('redis-server is not on the PATH: run .ci/redis')
    const server = new RedisServer(options)
    for (let attempt = 1; ; attempt += 1) {
      server.#port = await freePort()
      try {
        await server.restart()
        return server
      } catch (cause) {
        // Another process may have taken the port meanwhile.
        if (attempt === START_ATTEMPTS) throw cause
      }
    }
  }

  get port(): number {
    return this.#port
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  get url(): string {
    return `redis://${this.address}/0`
  }

  /** On the port and with the folder that it had: a new process, so a new run_id. Answers when it takes commands. */
  async restart(): Promise<void> {
    await this.kill()
    const { args = [], password, file } = this.#options
    const child = spawn('redis-server', [
      ...(file === undefined ? [] : [file(this.folder, this.#port)]),
      '--port', String(this.#port), '--bind', '127.0.0.1', '--dir', this.folder, '--save', '', '--appendonly', 'no', '--daemonize', 'no',
      ...(password === undefined ? [] : ['--requirepass', password, '--masterauth', password]), ...args,
    ], { stdio: 'ignore' })
    this.#process = child
    const ended = new Promise<never>((_resolve, reject) => {
      child.once('error', reject)
      child.once('exit', code => reject(new Error(`redis-server ended with ${code} before it answered on port ${this.#port}`)))
    })
    ended.catch(() => {})
    await Promise.race([this.#untilAnswers(child), ended])
  }

  /** A command on a connection of its own. */
  async command(command: string, ...args: (string | number)[]): Promise<unknown> {
    const { password, clientOptions } = this.#options
    const client = new Redis({
      host: '127.0.0.1', port: this.#port, lazyConnect: true, retryStrategy: null, enableReadyCheck: false, disableClientInfo: true,
      ...(password !== undefined && { password }), ...clientOptions,
    })
    client.on('error', () => {})
    try {
      await client.connect()
      return await client.call(command, args)
    } finally {
      client.disconnect()
    }
  }

  flush(): Promise<unknown> {
    return this.command('FLUSHALL')
  }

  /** Makes a replica a master of its own. */
  promote(): Promise<unknown> {
    return this.command('REPLICAOF', 'NO', 'ONE')
  }

  /** SIGKILL: nothing is written, connections are reset. Answers when it is gone. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = null
    this.#isPaused = false
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
  }

  /** SIGSTOP: the system still accepts connections for it, and nothing answers. */
  pause(): void {
    this.#isPaused = this.#process?.kill('SIGSTOP') ?? false
  }

  /** SIGCONT: what has come meanwhile is answered now. */
  resume(): void {
    if (this.#isPaused) this.#process?.kill('SIGCONT')
    this.#isPaused = false
  }

  async stop(): Promise<void> {
    await this.kill()
    process.removeListener('exit', this.#onExit)
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #untilAnswers(child: ChildProcess): Promise<void> {
    while (child.exitCode === null) {
      const answer = await this.command('PING').catch((cause: Error) => cause.message)
      if (answer === 'PONG') return
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    }
  }
}
