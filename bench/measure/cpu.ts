import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** CPU time of a process and its children so far, in microseconds (Linux; ticks of 10 ms). */
export function cpuMicroseconds(pid: number): number {
  return processTree(pid).reduce((sum, id) => sum + ticks(id), 0) * (1_000_000 / TICKS_PER_SECOND)
}

/** Resident memory in bytes. */
export function residentBytes(pid: number): number {
  return processTree(pid).reduce((sum, id) => {
    const found = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))
    return sum + Number(found?.[1] ?? 0) * 1024
  }, 0)
}

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK']))

function ticks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
  return Number(fields[11]) + Number(fields[12])
}

function processTree(root: number): number[] {
  const children = readdirSync(`/proc/${root}/task`).flatMap(task =>
    readFileSync(`/proc/${root}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number))
  return [root, ...children.flatMap(processTree)]
}
