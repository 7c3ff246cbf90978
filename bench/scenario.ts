/** How long a measurement takes; `--quick` makes it short, and its figures worth little. */
export type Effort = { readonly rounds: number; readonly seconds: number; readonly isQuick: boolean }

export type Cell = string | number | null
/** One measured thing: a line of the table. `subject` names it. */
export type Row = { readonly subject: string } & Readonly<Record<string, Cell>>

/** A figure with what it should be. `spread`: least and greatest over the rounds. */
export type Verdict = {
  readonly what: string
  readonly value: number
  readonly spread: readonly [number, number] | null
  /** null: told, not judged. */
  readonly atMost: number | null
}

export type Outcome = {
  readonly rows: readonly Row[]
  readonly verdicts: readonly Verdict[]
  /** Column of `rows` that the page draws as bars. */
  readonly chart: string
}

export type Scenario = {
  readonly name: string
  readonly question: string
  readonly run: (effort: Effort) => Promise<Outcome>
}

export type ScenarioResult = Outcome & { readonly name: string; readonly question: string }
