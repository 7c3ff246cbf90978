/** Of one worker: each job holds two bodies of at most MAX_COMPARED_BYTES. */
const MAX_JOBS = 64

/** Longer bodies are not compared. */
export const MAX_COMPARED_BYTES = 65_536

/** True: the same JSON value. False: not, or only one of them is JSON. null: neither is, so there is nothing to tell. */
export type JsonVerdict = boolean | null

type Job = { readonly first: Buffer; readonly second: Buffer; readonly tell: (isSame: JsonVerdict) => void }

/**
 * Compares bodies as JSON between the requests: one pair a loop turn, no more than 64 waiting. Two bodies of 64 KiB take
 * one to two milliseconds, built against us (nested 32,000 deep) ten. One a worker.
 */
export class JsonComparer {
  readonly #jobs: Job[] = []

  /** False: too many wait; this pair is not compared. */
  compare(first: Buffer, second: Buffer, tell: (isSame: JsonVerdict) => void): boolean {
    if (this.#jobs.length >= MAX_JOBS) return false
    this.#jobs.push({ first, second, tell })
    if (this.#jobs.length === 1) setImmediate(this.#run)
    return true
  }

  readonly #run = (): void => {
    const { first, second, tell } = this.#jobs.shift()!
    if (this.#jobs.length > 0) setImmediate(this.#run)
    tell(isSameJson(first, second))
  }
}

/**
 * Whether two texts are the same JSON value: the order of keys and the spelling of numbers and strings don't matter.
 * Numbers are compared as doubles; of keys that stand twice the last counts. Equal bytes are the same value unread.
 */
export function isSameJson(first: Buffer, second: Buffer): JsonVerdict {
  if (first.equals(second)) return true
  const left = parse(first)
  const right = parse(second)
  if (left === undefined && right === undefined) return null
  return left !== undefined && right !== undefined && isSameValue(left, right)
}

/** undefined: not JSON. */
function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

/** With a stack of its own: 64 KiB can nest 32,000 levels deep, which would be too many calls. */
function isSameValue(first: unknown, second: unknown): boolean {
  const pairs: unknown[] = [first, second]
  while (pairs.length > 0) {
    const right = pairs.pop()
    const left = pairs.pop()
    if (left === right) continue
    if (Array.isArray(left)) {
      if (!Array.isArray(right) || left.length !== right.length) return false
      for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) pairs.push(left[i], right[i])
    } else {
      if (!isNode(left) || !isNode(right) || Array.isArray(right)) return false
      const keys = Object.keys(left)
      if (keys.length !== Object.keys(right).length) return false
      for (const key of keys) {
        if (!Object.hasOwn(right, key)) return false
        if (left[key] !== right[key]) pairs.push(left[key], right[key])
      }
    }
  }
  return true
}

function isNode(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
