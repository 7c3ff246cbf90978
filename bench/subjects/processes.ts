import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { connect, createServer } from 'node:net'

const started: ChildProcess[] = []

function canPin(): boolean {
  try {
    execFileSync('taskset', ['-V'], { stdio: 'ignore' })
    return availableParallelism() >= 2
  } catch {
    return false
  }
}
const PINS = canPin()

/** Starts a program on one core: 0 for what is measured, 1 for what loads it. Ended by `stopAll`. */
export function startProcess(core: 0 | 1, command: string, args: readonly string[]): ChildProcess {
  const child = PINS ? spawn('taskset', ['-c', String(core), command, ...args], { stdio: 'ignore' }) : spawn(command, args, { stdio: 'ignore' })
  started.push(child)
  return child
}

export function stopAll(): void {
  for (const child of started.splice(0)) child.kill('SIGTERM')
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

export async function untilListening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isUp = await new Promise<boolean>(resolve => {
      const socket = connect(port, '127.0.0.1', () => { socket.destroy(); resolve(true) })
      socket.on('error', () => resolve(false))
    })
    if (isUp) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error(`nothing listens on port ${port}`)
}
