import t, { type Test } from 'tap'
import { IdentityError, type IdentityChange, type IdentityStore, type NewKey } from '../../src/control/identity-store.ts'

export type StoreMaker = {
  /** A store over the same data at each call; `nowMs` is its clock. At most two valid keys a consumer. */
  open(nowMs: () => number): Promise<IdentityStore>
}

let made = 0

/** What a key consists of; a different one at each call. */
export function aKey(consumerId: string, more: Partial<NewKey> = {}): NewKey {
  return { digest: (++made).toString(16).padStart(64, '0'), prefix: 'pk_', lastFour: '1234', consumerId, plan: null, expiresAtMs: null, ...more }
}

const codeOf = async (write: Promise<unknown>): Promise<string> => {
  try {
    await write
    return 'it went well'
  } catch (cause) {
    return cause instanceof IdentityError ? cause.code : String(cause)
  }
}

/** What holds for every store of consumers and keys. `make` gives a maker over data of its own. */
export function identityStoreSuite(name: string, make: (t: Test) => StoreMaker): void {
  t.test(`${name}: what was written is there, in this store and after it was opened again`, async t => {
    let nowMs = 1000
    const maker = make(t)
    const store = await maker.open(() => nowMs)
    const consumer = await store.createConsumer({ id: 'acme', plan: 'gold', groups: ['partners'] })
    nowMs = 2000
    const first = await store.createKey(aKey('acme', { plan: 'silver', expiresAtMs: 9000 }))
    const second = await store.createKey(aKey('other'))
    nowMs = 3000
    const revoked = await store.revokeKey(second.id)
    t.strictSame(consumer, { id: 'acme', plan: 'gold', groups: ['partners'], createdAtMs: 1000 })
    t.match(first, { consumerId: 'acme', plan: 'silver', createdAtMs: 2000, expiresAtMs: 9000, revokedAtMs: null })
    t.strictSame(revoked, { ...second, revokedAtMs: 3000 })
    const check = (from: IdentityStore): void => {
      t.strictSame(from.consumer('acme'), consumer)
      t.equal(from.consumer('other'), null, 'keys alone make no consumer')
      t.strictSame(from.keysOf('acme'), [first])
      t.strictSame(from.key(second.id), revoked)
      t.strictSame([...from.records().consumers], [consumer])
      t.strictSame(new Set([...from.records().keys].map(key => key.id)), new Set([first.id, second.id]))
    }
    check(store)
    await store.close()
    const again = await maker.open(() => nowMs)
    check(again)
    await again.close()
  })

  t.test(`${name}: two valid keys at a time, so that one can follow the other`, async t => {
    let nowMs = 1000
    const store = await make(t).open(() => nowMs)
    const first = await store.createKey(aKey('acme'))
    await store.createKey(aKey('acme', { expiresAtMs: 5000 }))
    t.equal(await codeOf(store.createKey(aKey('acme'))), 'tooManyKeys')
    t.equal(await codeOf(store.createKey(aKey('another'))), 'it went well', 'of another consumer')
    await store.revokeKey(first.id)
    await store.createKey(aKey('acme'))
    t.equal(await codeOf(store.createKey(aKey('acme'))), 'tooManyKeys')
    nowMs = 5000
    t.equal(await codeOf(store.createKey(aKey('acme'))), 'it went well', 'when one has expired')
    await store.close()
  })

  t.test(`${name}: many at once are taken one after the other`, async t => {
    const store = await make(t).open(() => 1000)
    const codes = await Promise.all(Array.from({ length: 8 }, () => codeOf(store.createKey(aKey('acme')))))
    t.equal(codes.filter(code => code === 'it went well').length, 2)
    t.equal(codes.filter(code => code === 'tooManyKeys').length, 6)
    t.strictSame((await Promise.all([1, 2].map(() => codeOf(store.createConsumer({ id: 'acme', plan: null, groups: [] }))))).sort(), ['consumerExists', 'it went well'])
    await store.close()
  })

  t.test(`${name}: a key that is not there can't be revoked; one that is revoked stays as it is`, async t => {
    let nowMs = 1000
    const store = await make(t).open(() => nowMs)
    t.equal(await codeOf(store.revokeKey('key_0')), 'unknownKey')
    const { id } = await store.createKey(aKey('acme'))
    const revoked = await store.revokeKey(id)
    nowMs = 2000
    t.strictSame(await store.revokeKey(id), revoked)
    await store.close()
  })

  t.test(`${name}: tells each change once, and nothing of what was refused`, async t => {
    const store = await make(t).open(() => 1000)
    const changes: IdentityChange[] = []
    store.onChange = change => changes.push(change)
    const consumer = await store.createConsumer({ id: 'acme', plan: null, groups: [] })
    await codeOf(store.createConsumer({ id: 'acme', plan: null, groups: [] }))
    const key = await store.createKey(aKey('acme'))
    const revoked = await store.revokeKey(key.id)
    await store.revokeKey(key.id)
    t.strictSame(changes, [{ consumers: [consumer], keys: [] }, { consumers: [], keys: [key] }, { consumers: [], keys: [revoked] }])
    await store.close()
  })

  t.test(`${name}: keys that can't be used any more are kept, but not without bound`, async t => {
    const store = await make(t).open(() => 1000)
    const ids: string[] = []
    for (let count = 0; count < 60; count++) {
      const { id } = await store.createKey(aKey('acme'))
      await store.revokeKey(id)
      ids.push(id)
    }
    const valid = await store.createKey(aKey('acme'))
    t.strictSame(store.keysOf('acme').map(key => key.id), [...ids.slice(-50), valid.id])
    t.equal(store.key(ids[0]!), null)
    await store.close()
  })

  t.test(`${name}: pages are in the order of the ids, whatever was added when`, async t => {
    const store = await make(t).open(() => 1000)
    const ids = ['m', 'a', 'z', 'B', 'k', '0', '__proto__', 'constructor']
    for (const id of ids) await store.createConsumer({ id, plan: null, groups: [] })
    for (const id of ids) await store.createKey(aKey(id))
    const inOrder = [...ids].sort()
    const walk = (page: (after: string | null) => readonly { readonly id: string }[]): string[] => {
      const seen: string[] = []
      for (let found = page(null); found.length > 0; found = page(seen.at(-1)!)) seen.push(...found.map(each => each.id))
      return seen
    }
    t.strictSame(walk(after => store.consumers(after, 3)), inOrder)
    const keyIds = walk(after => store.keys(after, 3))
    t.strictSame(keyIds, [...keyIds].sort())
    t.equal(new Set(keyIds).size, ids.length)
    await store.createConsumer({ id: 'b', plan: null, groups: [] })
    t.strictSame(store.consumers('a', 1).map(({ id }) => id), ['b'])
    await store.close()
  })

  t.test(`${name}: takes no write when it is closed`, async t => {
    const store = await make(t).open(() => 1000)
    const underWay = store.createConsumer({ id: 'acme', plan: null, groups: [] })
    await store.close()
    t.equal((await underWay).id, 'acme', 'one that was under way is finished')
    await t.rejects(store.createKey(aKey('acme')), /closed/)
  })
}
