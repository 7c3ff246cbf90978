import { _cfg } from 'uWebSockets.js'

/** Silences the `uWebSockets` header of every response; once in a thread, before its first App. */
export function silenceUws(): void {
  _cfg('999999990007')
}
