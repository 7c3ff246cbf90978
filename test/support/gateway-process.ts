import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url))

export type LogLine = Record<string, unknown> & { event?: string }

/** The gateway as a user runs it: its own process, its own configuration file, its own ports. */
export class GatewayProcess {
  readonly folder: string
  readonly configFile: string
  readonly process: ChildProcess
  readonly accessLog: LogLine[] = []
  readonly log: LogLine[] = []
  urls: string[] = []
  #waiters: (() => void)[] = []

  private constructor(config: object, args: readonly string[], nodeArgs: readonly string[]) {
    this.folder = mkdtempSync(join(tmpdir(), 'penstock-'))
    this.configFile = join(this.folder, 'penstock.json')
    writeFileSync(this.configFile, JSON.stringify(config))
    this.process = spawn(process.execPath, [...nodeArgs, MAIN, 'start', '--config', this.configFile, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#readLines(this.process.stdout!, line => {
      const found = /^penstock listens on (.*) \(/.exec(line)
      if (found !== null) this.urls = found[1]!.split(', ')
      // uWS prints two lines of its own for each server name of a listener with several certificates.
      else if (!/^(finding |Browsed to)/.test(line)) this.accessLog.push(JSON.parse(line) as LogLine)
    })
    this.#readLines(this.process.stderr!, line => { this.log.push(line.startsWith('{') ? JSON.parse(line) as LogLine : { text: line }) })
    this.process.on('exit', () => this.#wake())
  }

  static start(config: object, ...args: string[]): Promise<GatewayProcess> {
    return this.startUnder([], config, ...args)
  }

  /** With options for Node itself, which its worker threads inherit. */
  static async startUnder(nodeArgs: readonly string[], config: object, ...args: string[]): Promise<GatewayProcess> {
    const gateway = new GatewayProcess({ listeners: [{ address: '127.0.0.1:0' }], workers: 1, ...config }, args, nodeArgs)
    await gateway.until(() => gateway.urls.length > 0)
    return gateway
  }

  get port(): number {
    return Number(new URL(this.urls[0]!).port)
  }

  write(config: object): void {
    // Whole or not at all, as a careful deployment does it.
    writeFileSync(`${this.configFile}.next`, JSON.stringify({ listeners: [{ address: '127.0.0.1:0' }], workers: 1, ...config }))
    renameSync(`${this.configFile}.next`, this.configFile)
  }

  /** Answers the line that tells the outcome. */
  async reload(config: object): Promise<LogLine> {
    const before = this.log.length
    this.write(config)
    this.process.kill('SIGHUP')
    return this.event(['published', 'rejected', 'unchanged'], before)
  }

  async event(names: readonly string[], from = 0): Promise<LogLine> {
    const find = (): LogLine | undefined => this.log.slice(from).find(line => names.includes(line.event ?? ''))
    await this.until(() => find() !== undefined)
    return find()!
  }

  /** Waits for something that this process writes; rejects when it ends before. */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      if (this.process.exitCode !== null || this.process.signalCode !== null) {
        throw new Error(`the gateway ended: ${JSON.stringify(this.log)}`)
      }
      await new Promise<void>(resolve => this.#waiters.push(resolve))
    }
  }

  /** The most memory that the process has had, in MiB. */
  get peakMiB(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)![1]) / 1024
  }

  async stop(): Promise<number | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exit = new Promise(resolve => this.process.once('close', resolve))
      this.process.kill('SIGTERM')
      await exit
    }
    rmSync(this.folder, { recursive: true, force: true })
    return this.process.exitCode
  }

  #wake(): void {
    for (const waiter of this.#waiters.splice(0)) waiter()
  }

  #readLines(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
    let rest = ''
    stream.on('data', (chunk: Buffer) => {
      const lines = (rest + chunk.toString()).split('\n')
      rest = lines.pop()!
      for (const line of lines) take(line)
      this.#wake()
    })
  }
}
