/**
 * For work that can't be cancelled (a thread of libuv's pool does it): whoever asks while it is under way gets its
 * answer. Else a file system or a system resolver that hangs would take one thread of the pool after the other.
 */
export class OneAtATime<T> {
  #underWay: Promise<T> | null = null

  /** Rejects with the reason of `signal` once it is aborted; the work goes on for the next who asks. */
  run(start: () => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#underWay ??= start().finally(() => {
      this.#underWay = null
    })
    const work = this.#underWay
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }
}
