import t from 'tap'
import { isShed, type LoadLevel, PRIORITY_RANKS } from '../../src/gateway/shedding.ts'

for (const { level, shed } of [
  { level: 0, shed: [] },
  { level: 1, shed: ['low'] },
  { level: 2, shed: ['low', 'normal'] },
  { level: 3, shed: ['low', 'normal', 'high'] },
] satisfies { level: LoadLevel; shed: string[] }[]) {
  t.test(`level ${level} sheds ${shed.join(', ') || 'nothing'}`, async t => {
    t.strictSame(Object.entries(PRIORITY_RANKS).filter(([, rank]) => isShed(rank, level)).map(([name]) => name), shed)
  })
}
