import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, startProcess, stop, untilListening } from './processes.ts'

/** `folder` is for the subject's files and is removed afterwards. */
export type SubjectPlace = { readonly folder: string; readonly port: number; readonly backendPort: number }
/** null: not installed here. */
export type StartSubject = (place: SubjectPlace) => ChildProcess | null
/** No process of its own: the load goes to the backend itself. */
export const DIRECT = 'direct'

export type Subject = {
  readonly name: string
  readonly place: SubjectPlace
  readonly port: number
  /** null: nothing is between load and backend. */
  readonly process: ChildProcess | null
}

/** Starts a backend and the subjects in front of it, runs `use`, ends them all. */
export async function withSubjects<T>(starts: Readonly<Record<string, StartSubject | typeof DIRECT>>, use: (subjects: Subject[], folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-bench-'))
  const backendPort = await freePort()
  const processes = [startProcess(1, process.execPath, [fileURLToPath(new URL('./backend.js', import.meta.url)), String(backendPort)])]
  try {
    await untilListening(backendPort)
    const subjects: Subject[] = []
    for (const [name, start] of Object.entries(starts)) {
      const place = { folder, port: start === DIRECT ? backendPort : await freePort(), backendPort }
      const child = start === DIRECT ? null : start(place)
      if (child === null && start !== DIRECT) {
        console.log(`${name}: not installed`)
        continue
      }
      if (child !== null) processes.push(child)
      await untilListening(place.port).catch(() => { throw new Error(`${name} does not listen on its port`) })
      subjects.push({ name, place, port: place.port, process: child })
    }
    return await use(subjects, folder)
  } finally {
    await Promise.all(processes.map(stop))
    rmSync(folder, { recursive: true, force: true })
  }
}
