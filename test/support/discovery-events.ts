import type { DiscoveryEvents, FoundEndpoint } from '../../src/control/discovery/lookup-loop.ts'

/** Keeps what a source tells, in order. */
export class RecordedEvents implements DiscoveryEvents {
  readonly all: (readonly FoundEndpoint[] | string)[] = []

  onEndpoints(endpoints: readonly FoundEndpoint[]): void {
    this.all.push(endpoints)
  }

  onFailure(problem: string): void {
    this.all.push(problem)
  }

  get failures(): string[] {
    return this.all.filter(event => typeof event === 'string')
  }

  /** Of each set that was told: its URLs, sorted. */
  get sets(): string[][] {
    return this.all.filter(event => typeof event !== 'string').map(endpoints => endpoints.map(({ url }) => url).sort())
  }

  /** When so many events have come; there is no limit of time but that of the test runner. */
  async reach(count: number): Promise<void> {
    await until(() => this.all.length >= count)
  }
}

/** The timer keeps the process up while a source, whose timers don't, waits. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
}
