import type { BodySource } from '../http/message.ts'
import type { Mirror, MirrorComparison, MirroredRequest } from './mirror.ts'
import { ReplayBody } from './replay-body.ts'

/** The copy of one exchange: waits for its body to be whole, and tells of the answer that the copy's is compared with. */
export class Mirroring {
  readonly #mirror: Mirror
  readonly #request: MirroredRequest
  /** What the exchange sends in place of its body: keeps a copy of it. */
  readonly body: BodySource | null
  #comparison: MirrorComparison | null = null
  #isOver = false

  /** `keptBytes`: of a body, for another try of the exchange itself. */
  constructor(mirror: Mirror, request: MirroredRequest, body: BodySource | null, keptBytes: number) {
    this.#mirror = mirror
    this.#request = request
    if (body === null) this.body = null
    else {
      const kept = new ReplayBody(body, Math.max(mirror.maxBodyBytes, keptBytes), () => this.#onWhole(kept.whole))
      this.body = kept
    }
  }

  /** The exchange itself is on its way. */
  onSent(): void {
    // One that failed at once has ended before: nobody would tell the copy of its end.
    if (this.body === null && !this.#isOver) this.#comparison = this.#mirror.start(this.#request, null)
  }

  onHead(status: number, latencyMs: number): void {
    this.#comparison?.onPrimaryHead(status, latencyMs)
  }

  onBody(chunk: Uint8Array): void {
    this.#comparison?.onPrimaryBody(chunk)
  }

  /** Once, whatever happened; `isWhole`: the answer came to its proper end. */
  onEnd(isWhole: boolean): void {
    this.#isOver = true
    this.#comparison?.onPrimaryEnd(isWhole)
  }

  #onWhole(body: Buffer | null): void {
    if (body === null) this.#mirror.drop()
    else if (!this.#isOver) this.#comparison = this.#mirror.start(this.#request, body)
  }
}
