import { Listener, type RequestHandler } from '../downstream/listener.ts'
import type { ListenerPart } from '../protocol/messages.ts'

/** The listeners of one worker, and how one set of them follows another without an address going unanswered. */
export class Listeners {
  readonly #handler: (isTls: boolean) => RequestHandler
  #open = new Map<string, Listener>()
  /** Accept no more, but have connections that live on. */
  readonly #stopped: Listener[] = []

  constructor(handler: (isTls: boolean) => RequestHandler) {
    this.#handler = handler
  }

  /**
   * Opens what `parts` names and is not open yet. Rejects when one can't be opened; then nothing has changed. What it
   * answers takes the new set over, and stops those that are not in it.
   */
  async prepare(parts: readonly ListenerPart[]): Promise<{ commit(): void; abandon(): void }> {
    const next = new Map<string, Listener>()
    const opened: Listener[] = []
    try {
      for (const part of parts) {
        let listener = this.#open.get(part.key)
        if (listener === undefined) {
          listener = new Listener(part.tls, this.#handler(part.tls !== null))
          opened.push(listener)
          await listener.listen(part.host, part.port)
        }
        next.set(part.key, listener)
      }
    } catch (cause) {
      for (const listener of opened) listener.close()
      throw cause
    }
    return {
      commit: () => {
        for (const [key, listener] of this.#open) {
          if (next.has(key)) continue
          // Its connections live on with the certificate that they were opened with.
          listener.stop()
          this.#stopped.push(listener)
        }
        this.#open = next
      },
      abandon: () => { for (const listener of opened) listener.close() },
    }
  }

  stop(): void {
    for (const listener of this.#open.values()) listener.stop()
  }

  close(): void {
    for (const listener of [...this.#open.values(), ...this.#stopped]) listener.close()
  }
}
