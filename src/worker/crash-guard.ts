/**
 * Ends this thread in order after an error that nobody caught. A thread that ends with sockets of uWebSockets.js open
 * takes the whole process with it (Node asserts that its loop is empty), so they are closed first: `close` does that,
 * and tells the primary what happened. Exchanges of this thread are cut; the other threads go on.
 */
export function guardAgainstCrash(close: (cause: unknown) => void): void {
  let isEnding = false
  const end = (cause: unknown): void => {
    if (isEnding) return
    isEnding = true
    try {
      close(cause)
    } finally {
      // Sockets are closed at the end of the loop turn.
      setImmediate(() => process.exit(1))
    }
  }
  process.on('uncaughtException', end)
  process.on('unhandledRejection', end)
}
