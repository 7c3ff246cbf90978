import t from 'tap'
import { upstream } from '../../src/config/schema-upstream.ts'
import { Endpoint, parseEndpoint } from '../../src/upstream/endpoint.ts'
import { chooseCandidates, type SetOptions } from '../../src/upstream/endpoint-set.ts'
import { OutlierDetector } from '../../src/upstream/outlier.ts'

const OUTLIER = { ...upstream.parse({}).outlier!, ejectMs: 1000 }
type Plan = { name: string; priority?: number; zone?: string; weight?: number; sick?: boolean; ejectedAtMs?: number; recoveredAtMs?: number }
const NOW_MS = 10_000

function endpointOf({ name, priority = 0, zone, weight = 1, sick = false, ejectedAtMs, recoveredAtMs }: Plan): Endpoint {
  const endpoint = new Endpoint(parseEndpoint({ url: `http://${name}`, priority, zone: zone ?? null, weight }), () => null as never, new OutlierDetector(OUTLIER))
  endpoint.isHealthy = !sick
  if (ejectedAtMs !== undefined) endpoint.outlier!.eject(ejectedAtMs)
  if (recoveredAtMs !== undefined) endpoint.recoveredAtMs = recoveredAtMs
  return endpoint
}

for (const { desc, plans, options = {}, want, isPanic = false } of [
  { desc: 'all that are well', plans: [{ name: 'a' }, { name: 'b' }], want: 'a1 b1' },
  { desc: 'without those that probes found sick', plans: [{ name: 'a' }, { name: 'b', sick: true }], want: 'a1' },
  { desc: 'without those that are ejected', plans: [{ name: 'a' }, { name: 'b', ejectedAtMs: 9500 }], want: 'a1' },
  { desc: 'with those whose ejection is over', plans: [{ name: 'a' }, { name: 'b', ejectedAtMs: 9000 }], want: 'a1 b1' },
  { desc: 'weights as given', plans: [{ name: 'a', weight: 3 }, { name: 'b' }], want: 'a3 b1' },
  { desc: 'no backup while the first group has enough', plans: [{ name: 'a' }, { name: 'b', sick: true }, { name: 'c', priority: 1 }], want: 'a1' },
  { desc: 'the backup when the first group has too few', plans: [{ name: 'a' }, ...['b', 'c', 'd'].map(name => ({ name, sick: true })), { name: 'e', priority: 1 }], want: 'e1' },
  { desc: 'the next backup when the first is sick too', plans: [{ name: 'a', sick: true }, { name: 'b', priority: 1, sick: true }, { name: 'c', priority: 5 }], want: 'c1' },
  { desc: 'the few of the first group when all others are sick', plans: [{ name: 'a' }, ...['b', 'c', 'd'].map(name => ({ name, sick: true }))], want: 'a1 b1 c1 d1', isPanic: true },
  { desc: 'the whole first group when none is well: panic', plans: [{ name: 'a', sick: true }, { name: 'b', sick: true }, { name: 'c', priority: 1, sick: true }], want: 'a1 b1', isPanic: true },
  { desc: 'never in panic with a ratio of 0, while one is well', plans: [{ name: 'a' }, ...['b', 'c', 'd'].map(name => ({ name, sick: true }))], options: { panicRatio: 0 }, want: 'a1' },
  { desc: 'the own zone', plans: [{ name: 'a', zone: 'west' }, { name: 'b', zone: 'east' }], options: { zone: 'west' }, want: 'a1' },
  { desc: 'all zones when the own has too few', plans: [{ name: 'a', zone: 'west', sick: true }, { name: 'b', zone: 'east' }], options: { zone: 'west' }, want: 'b1' },
  { desc: 'all zones when none is the own', plans: [{ name: 'a', zone: 'west' }, { name: 'b', zone: 'east' }], options: { zone: 'north' }, want: 'a1 b1' },
  { desc: 'little by little what came back', plans: [{ name: 'a', weight: 10 }, { name: 'b', weight: 10, recoveredAtMs: 9750 }], options: { slowStartMs: 1000 }, want: 'a10 b3' },
  { desc: 'wholly when its time is over', plans: [{ name: 'a', weight: 10 }, { name: 'b', weight: 10, recoveredAtMs: 9000 }], options: { slowStartMs: 1000 }, want: 'a10 b10' },
  { desc: 'nothing without endpoints', plans: [], want: '' },
] as { desc: string; plans: Plan[]; options?: Partial<SetOptions>; want: string; isPanic?: boolean }[]) {
  t.test(`chooses ${desc}`, async t => {
    const choice = chooseCandidates(plans.map(endpointOf), { panicRatio: 0.3, slowStartMs: 0, zone: null, ...options }, NOW_MS)
    t.equal(choice.candidates.map(({ endpoint, weight }) => `${endpoint.address.host}${weight}`).join(' '), want)
    t.equal(choice.isPanic, isPanic)
  })
}

t.test('is out of date when an ejection ends or a slow start takes its next step', async t => {
  const valid = (plans: Plan[], slowStartMs = 0): number => chooseCandidates(plans.map(endpointOf), { panicRatio: 0.3, slowStartMs, zone: null }, NOW_MS).validUntilMs
  t.equal(valid([{ name: 'a' }]), Infinity)
  t.equal(valid([{ name: 'a' }, { name: 'b', ejectedAtMs: 9500 }, { name: 'c', ejectedAtMs: 9700 }]), 10_500)
  t.equal(valid([{ name: 'a' }, { name: 'b', recoveredAtMs: 9990 }], 1000), 10_100)
})
