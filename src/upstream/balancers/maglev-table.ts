import { stringHash } from '../../base/string-hash.ts'
import { Turns } from './turns.ts'

/**
 * Prime, so that every step visits every slot. Shares are right to a percent up to 160 endpoints, to 4 % at 1000; built in
 * a millisecond or two (65,537 slots take ten). One size for any number: with another every slot would change hands, and
 * an upstream that lost an endpoint at such a threshold would lose the place of all keys.
 */
const SIZE = 16_381

const OFFSET_SEED = 0x6f66_6673
const STEP_SEED = 0x7374_6570

/**
 * Slots of a look-up table, each with the index of an endpoint: as many as its weight says, and when an endpoint goes,
 * few of the others' slots change hands. Only URLs and weights decide, not their order, so all workers and nodes agree.
 * An endpoint whose share is less than a slot may get none.
 * Source: Eisenbud and others, "Maglev: A Fast and Reliable Software Network Load Balancer", section 3.4.
 */
export function buildMaglevTable(urls: readonly string[], weights: Float64Array): Uint16Array {
  const sorted = [...urls.keys()].sort((a, b) => (urls[a]! < urls[b]! ? -1 : urls[a] === urls[b] ? 0 : 1))
  const slots = Uint32Array.from(sorted, index => (stringHash(urls[index]!, OFFSET_SEED) >>> 0) % SIZE)
  const steps = Uint32Array.from(sorted, index => (stringHash(urls[index]!, STEP_SEED) >>> 0) % (SIZE - 1) + 1)
  const turns = new Turns(Float64Array.from(sorted, index => weights[index]!), () => 1)

  const table = new Uint16Array(SIZE)
  const isTaken = new Uint8Array(SIZE)
  for (let filled = 0; filled < SIZE; filled++) {
    const turn = turns.next()
    const step = steps[turn]!
    let slot = slots[turn]!
    while (isTaken[slot] === 1) {
      slot += step
      if (slot >= SIZE) slot -= SIZE
    }
    isTaken[slot] = 1
    table[slot] = sorted[turn]!
    slots[turn] = slot
  }
  return table
}
