import { connect, type Socket } from 'node:net'
import autocannon from 'autocannon'
import { residentBytes } from '../measure/cpu.ts'
import { median, round, spreadOf } from '../measure/statistics.ts'
import type { Row, Scenario } from '../scenario.ts'
import { gateway } from '../subjects/gateway.ts'
import { freePort, stop } from '../subjects/processes.ts'
import { withSubjects } from '../subjects/subject.ts'

const MIB = 1_048_576

export const idle: Scenario = {
  name: 'idle',
  question: 'what do 10,000 clients cost that have asked once and now wait?',
  run: ({ isQuick }) => withSubjects({ gateway: gateway() }, async ([subject]) => {
    const { port, process } = subject!
    const count = isQuick ? 500 : 10_000
    const rows: Row[] = [{ subject: 'none', 'RSS MiB': round(residentBytes(process!.pid!) / MIB, 1), open: 0 }]
    const sockets: Socket[] = []
    while (sockets.length < count) {
      // In groups: a listen queue is finite.
      await Promise.all(Array.from({ length: 100 }, () => askOnce(port).then(socket => sockets.push(socket))))
    }
    const open = sockets.filter(socket => !socket.destroyed).length
    const residentMiB = round(residentBytes(process!.pid!) / MIB, 1)
    rows.push({ subject: `${count} connections`, 'RSS MiB': residentMiB, open })
    for (const socket of sockets) socket.destroy()
    return {
      rows,
      verdicts: [
        { what: `RSS with ${count} idle connections, MiB`, value: residentMiB, spread: null, atMost: 150 },
        { what: 'connections lost', value: count - open, spread: null, atMost: 0 },
      ],
      chart: 'RSS MiB',
    }
  }),
}

function askOnce(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('GET /b/200 HTTP/1.1\r\nHost: bench\r\n\r\n'))
    socket.once('data', () => resolve(socket))
    socket.on('error', reject)
  })
}

export const startup: Scenario = {
  name: 'startup',
  question: 'how long from the start of the process to its first answer?',
  run: effort => withSubjects({}, async (_, folder) => {
    const samples: number[] = []
    for (let turn = 0; turn < effort.rounds; turn++) {
      const place = { folder, port: await freePort(), backendPort: 1 }
      const startedMs = performance.now()
      const process = gateway({ routes: [{ id: 'first', match: { path: '/first' }, mock: {} }] })(place)!
      while (!await answers(`http://127.0.0.1:${place.port}/first`)) await new Promise(resolve => setTimeout(resolve, 2))
      samples.push(Math.round(performance.now() - startedMs))
      await stop(process)
    }
    return {
      rows: samples.map((sample, turn) => ({ subject: `start ${turn + 1}`, ms: sample })),
      verdicts: [{ what: 'start to first answer, ms', value: median(samples), spread: spreadOf(samples), atMost: 500 }],
      chart: 'ms',
    }
  }),
}

const answers = (url: string): Promise<boolean> => fetch(url).then(response => response.ok, () => false)

export const memory: Scenario = {
  name: 'memory',
  question: 'is memory flat over a million requests (10 KB answers, every fourth with a body of 4 KB)?',
  run: ({ isQuick }) => withSubjects({ gateway: gateway() }, async ([subject]) => {
    const { port, process } = subject!
    const step = isQuick ? 2000 : 200_000
    const body = 'x'.repeat(4096)
    const rows: Row[] = []
    for (let done = step; done <= 5 * step; done += step) {
      const result = await autocannon({
        url: `http://127.0.0.1:${port}`, connections: 64, amount: step,
        requests: [{ path: '/b/10240' }, { path: '/b/10240' }, { path: '/b/10240' }, { method: 'POST', path: '/b/200', body }],
      })
      rows.push({ subject: `after ${done}`, 'RSS MiB': round(residentBytes(process!.pid!) / MIB, 1), failures: result.errors + result.timeouts + result.non2xx })
    }
    const growth = Number(rows.at(-1)!['RSS MiB']) / Number(rows[0]!['RSS MiB'])
    return {
      rows,
      verdicts: [
        { what: 'RSS after the last fifth / after the first', value: round(growth), spread: null, atMost: 1.1 },
        { what: 'failed requests', value: rows.reduce((sum, row) => sum + Number(row['failures']), 0), spread: null, atMost: 0 },
      ],
      chart: 'RSS MiB',
    }
  }),
}
