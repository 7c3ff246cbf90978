import { KeyStore } from '../../src/control/key-store.ts'
import { aKey } from './identity-store-suite.ts'

/**
 * Writes to the store in a folder until it is killed: consumers, keys and revocations, all in one file. Prints each as a line
 * when it is durable.
 */
const [, , folder = ''] = process.argv
const store = await KeyStore.open({ folder, maxKeysPerConsumer: 2, nowMs: Date.now })
const say = (line: object): void => { process.stdout.write(`${JSON.stringify(line)}\n`) }
say({ ready: true })
for (let round = 0; ; round++) {
  const { id } = await store.createKey(aKey('acme', { plan: `round ${process.pid}.${round}` }))
  say({ created: id })
  await store.revokeKey(id)
  say({ revoked: id })
}
