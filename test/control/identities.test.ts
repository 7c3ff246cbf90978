import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { changeMessage, type DeclaredConsumer, identitiesMessage } from '../../src/control/identities.ts'
import { KeyStore } from '../../src/control/key-store.ts'
import type { IdentitiesMessage, IdentityConsumer, IdentityKey } from '../../src/protocol/messages.ts'
import { Random } from '../support/random.ts'
import { aKey } from '../support/identity-store-suite.ts'

async function newStore(t: Test, nowMs = (): number => 1000): Promise<KeyStore> {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-identities-'))
  const store = await KeyStore.open({ folder, maxKeysPerConsumer: 2, nowMs })
  t.teardown(async () => {
    await store.close()
    rmSync(folder, { recursive: true })
  })
  return store
}

const digest = (digit: string): string => digit.repeat(64)

t.test('the document alone', async t => {
  const declared: DeclaredConsumer[] = [{ id: 'acme', plan: 'gold', groups: ['partners'], keys: [`sha256:${digest('A')}`] }, { id: 'bare' }]
  t.strictSame(identitiesMessage(declared, null, 0), {
    type: 'identities', isWhole: true,
    consumers: [{ id: 'acme', plan: 'gold', groups: ['partners'] }, { id: 'bare', plan: null, groups: [] }],
    keys: [{ digest: digest('a'), consumerId: 'acme', plan: null, expiresAtMs: null }],
    revoked: [],
  })
})

t.test('the store beside it: the document is right about its consumers, and keys of both count', async t => {
  const store = await newStore(t)
  await store.createConsumer({ id: 'acme', plan: 'silver', groups: [] })
  await store.createConsumer({ id: 'other', plan: 'silver', groups: ['g'] })
  const key = await store.createKey(aKey('acme', { plan: 'trial', expiresAtMs: 5000 }))
  const { consumers, keys } = identitiesMessage([{ id: 'acme', plan: 'gold', keys: [`sha256:${digest('a')}`] }], store, 1000)
  t.strictSame(consumers, [{ id: 'acme', plan: 'gold', groups: [] }, { id: 'other', plan: 'silver', groups: ['g'] }])
  t.strictSame(keys, [
    { digest: digest('a'), consumerId: 'acme', plan: null, expiresAtMs: null },
    { digest: key.digest, consumerId: 'acme', plan: 'trial', expiresAtMs: 5000 },
  ])
})

t.test('expired keys and those of nobody are left out', async t => {
  const store = await newStore(t)
  await store.createKey(aKey('acme', { expiresAtMs: 5000 }))
  t.equal(identitiesMessage([{ id: 'acme' }], store, 4999).keys.length, 1)
  t.equal(identitiesMessage([{ id: 'acme' }], store, 5000).keys.length, 0)
  t.equal(identitiesMessage([], store, 1000).keys.length, 0, 'its consumer was taken out of the document')
})

t.test('a key that was revoked is refused also when it stands in the document', async t => {
  const store = await newStore(t)
  const { id } = await store.createKey(aKey('acme', { digest: digest('a') }))
  await store.revokeKey(id)
  const { keys, revoked } = identitiesMessage([{ id: 'acme', keys: [`sha256:${digest('a')}`] }], store, 1000)
  t.strictSame(keys, [])
  t.strictSame(revoked, [digest('a')])
})

/** What a worker makes of the messages. */
class Model {
  consumers = new Map<string, IdentityConsumer>()
  keys = new Map<string, IdentityKey>()

  take({ isWhole, consumers, keys, revoked }: IdentitiesMessage): void {
    if (isWhole) {
      this.consumers.clear()
      this.keys.clear()
    }
    for (const consumer of consumers) this.consumers.set(consumer.id, consumer)
    for (const key of keys) this.keys.set(key.digest, key)
    for (const digest of revoked) this.keys.delete(digest)
  }
}

t.test('changes one after the other lead to the same as the whole, whatever they are', async t => {
  for (const seed of [1, 2, 3]) {
    const random = new Random(seed)
    const store = await newStore(t)
    let declared: DeclaredConsumer[] = [{ id: 'a', plan: 'gold' }, { id: 'b' }]
    const model = new Model()
    model.take(identitiesMessage(declared, store, 1000))
    store.onChange = change => model.take(changeMessage(change, declared, store))
    const names = ['a', 'b', 'c', 'd', 'e']
    for (let step = 0; step < 60; step++) {
      const id = random.pick(names)
      const keys = store.keys(null, 100)
      switch (random.below(4)) {
        case 0: await store.createConsumer({ id, plan: 'silver', groups: [] }).catch(() => {}); break
        case 1: if (keys.length > 0) await store.revokeKey(random.pick(keys).id); break
        case 2:
          if (random.below(5) > 0) break
          declared = names.filter(() => random.below(2) === 0).map(name => ({ id: name }))
          model.take(identitiesMessage(declared, store, 1000))
          break
        default: await store.createKey(aKey(id)).catch(() => {})
      }
      const whole = new Model()
      whole.take(identitiesMessage(declared, store, 1000))
      t.strictSame([...model.keys.values()].sort(byDigest), [...whole.keys.values()].sort(byDigest), `seed ${seed}, step ${step}`)
      t.strictSame(new Set(model.consumers.keys()), new Set(whole.consumers.keys()), `seed ${seed}, step ${step}`)
    }
  }
})

const byDigest = (left: IdentityKey, right: IdentityKey): number => (left.digest < right.digest ? -1 : 1)
