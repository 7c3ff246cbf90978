import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { connect, createServer } from 'node:net'

const started = new Set<ChildProcess>()

/** Whether programs can be bound to a core each. */
export const PINS = isInstalled('taskset') && availableParallelism() >= 2

/** Binds this process to the core of the load. */
export function pinSelf(): void {
  if (PINS) execFileSync('taskset', ['-acp', '1', String(process.pid)], { stdio: 'ignore' })
}

/** Starts a program on one core: 0 for what is measured, 1 for what loads it. Ended by `stop` or `stopAll`. */
export function startProcess(core: 0 | 1, command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const [file, ...rest] = PINS ? ['taskset', '-c', String(core), command, ...args] : [command, ...args]
  const child = spawn(file!, rest, { stdio: 'ignore', env: { ...process.env, ...environment } })
  started.add(child)
  child.on('exit', () => started.delete(child))
  return child
}

/** Resolves when the program has ended. */
export function stop(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.on('exit', () => resolve())
    child.kill('SIGTERM')
  })
}

export function stopAll(): void {
  for (const child of started) child.kill('SIGTERM')
}

export function isInstalled(command: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

export function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer()
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}

export async function untilListening(port: number, everyMs = 50): Promise<void> {
  for (let waitedMs = 0; waitedMs < 20_000; waitedMs += everyMs) {
    const isUp = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true) })
      socket.on('error', () => resolve(false))
    })
    if (isUp) return
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
  throw new Error(`nothing listens on port ${port}`)
}
