import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { EndpointOrder, EndpointReport } from './endpoint-server.ts'

const SERVER = fileURLToPath(new URL('./endpoint-server.js', import.meta.url))

/** An endpoint in a process of its own, so that it can be killed and stopped as the system does it. */
export class EndpointProcess {
  #process: ChildProcess | null = null
  #port = 0
  #isPaused = false
  // One that is stopped by a signal would outlive this process.
  readonly #onExit = (): void => { this.#process?.kill('SIGKILL') }

  static async start(): Promise<EndpointProcess> {
    const endpoint = new EndpointProcess()
    process.on('exit', endpoint.#onExit)
    await endpoint.restart()
    return endpoint
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  /** On the port that it had; answers when it listens. */
  async restart(): Promise<void> {
    await this.kill()
    const child = fork(SERVER, [String(this.#port)])
    this.#process = child
    this.#port = await new Promise<number>((resolve, reject) => {
      child.once('message', report => resolve((report as EndpointReport).port))
      child.once('exit', code => reject(new Error(`the endpoint ended with ${code} before it listened on port ${this.#port}`)))
    })
  }

  /** SIGKILL: its connections are reset, and its port refuses. Answers when it is gone. */
  async kill(): Promise<void> {
    const child = this.#process
    if (child === null) return
    this.#process = null
    this.#isPaused = false
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

  /** For every answer from now on; 0: none. */
  delay(delayMs: number): void {
    this.#process?.send({ delayMs } satisfies EndpointOrder)
  }

  async stop(): Promise<void> {
    await this.kill()
    process.removeListener('exit', this.#onExit)
  }
}
