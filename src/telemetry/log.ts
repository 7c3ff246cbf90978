import { pino } from 'pino'

/** The gateway's own log: JSON lines on standard error, each with an `event`. The primary writes it for all threads. */
export type Log = pino.Logger

export function createLog(): Log {
  return pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: label => ({ level: label }) } },
    pino.destination({ dest: 2, sync: true }),
  )
}
