import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'

const NAME = 'lock'
/** The holder shows that often that it lives, for those that can't see its process. */
const BEAT_MS = 5000
/** A lock from another machine or container counts as left behind when it was not touched for so long. */
const STALE_MS = 30_000

type Holder = { readonly id: string; readonly pid: number; readonly host: string; readonly space: string; readonly start: string }

/**
 * Keeps a second process away from a folder. Node has no flock, so it is a file that names its holder, made with O_EXCL.
 * A holder that was killed leaves it behind; its process is then gone, or is another one with the same number.
 *
 * Two that take over the same left lock at the same moment could both believe they have it: `check`, before each write,
 * tells the one that lost.
 */
export class FolderLock {
  readonly #file: string
  readonly #id: string
  readonly #timer: NodeJS.Timeout

  private constructor(file: string, id: string) {
    this.#file = file
    this.#id = id
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref()
  }

  /** Throws an Error that names the holder. */
  static take(folder: string): FolderLock {
    const file = join(folder, NAME)
    const own: Holder = { id: randomUUID(), pid: process.pid, host: hostname(), space: ownSpace(), start: startOf(process.pid) }
    // Each round, a left lock is moved away or another process has taken its place.
    for (let round = 0; round < 3; round++) {
      if (create(file, JSON.stringify(own))) return new FolderLock(file, own.id)
      const found = readHolder(file)
      if (found === null) continue
      if (!isLeft(found, own)) throw new Error(heldMessage(folder, file, found.holder))
      const aside = `${file}.${own.id}`
      try {
        renameSync(file, aside)
        rmSync(aside, { force: true })
      } catch (cause) {
        if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
      }
    }
    throw new Error(heldMessage(folder, file, readHolder(file)?.holder ?? null))
  }

  /** Throws when the lock is not this one's any more. */
  check(): void {
    if (readHolder(this.#file)?.holder?.id !== this.#id) throw new Error(`${this.#file} was taken by another process: this one writes nothing more there`)
  }

  release(): void {
    clearInterval(this.#timer)
    if (readHolder(this.#file)?.holder?.id === this.#id) rmSync(this.#file, { force: true })
  }

  #beat(): void {
    try {
      const now = new Date()
      utimesSync(this.#file, now, now)
    } catch { /* Its folder is gone: the next write tells. */ }
  }
}

function create(file: string, text: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600)
    writeSync(descriptor, text)
    closeSync(descriptor)
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  }
}

type Found = { readonly holder: Holder | null; readonly ageMs: number }

/** null: there is no lock. A holder of null: it has just been made, or its maker died while it wrote. */
function readHolder(file: string): Found | null {
  try {
    const ageMs = Date.now() - statSync(file).mtimeMs
    return { holder: parse(readFileSync(file, 'utf8')), ageMs }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw cause
  }
}

function parse(text: string): Holder | null {
  try {
    const value = JSON.parse(text) as Holder
    return Number.isInteger(value.pid) && value.pid > 0 ? value : null
  } catch {
    return null
  }
}

function isLeft({ holder, ageMs }: Found, own: Holder): boolean {
  if (holder === null || holder.host !== own.host || holder.space !== own.space) return ageMs > STALE_MS
  return !isAlive(holder.pid) || startOf(holder.pid) !== holder.start
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Boot and moment at which a process started: a number is given again, this is not (Linux; else empty). */
function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    // proc(5): field 22 is the start; the name in field 2 may hold spaces and brackets.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A process that has ended and is not waited for yet still has its number.
    return fields[0] === 'Z' ? '' : `${boot}/${fields[19]}`
  } catch {
    return ''
  }
}

/** Numbers of processes mean something in their own namespace only: each container has a process 1 (Linux; else empty). */
function ownSpace(): string {
  try {
    return readlinkSync('/proc/self/ns/pid')
  } catch {
    return ''
  }
}

function heldMessage(folder: string, file: string, holder: Holder | null): string {
  const who = holder === null ? 'another process' : `process ${holder.pid} on ${holder.host}`
  return `the data directory ${folder} is in use by ${who}: stop it, or give this gateway another dataDirectory (its lock is ${file})`
}
