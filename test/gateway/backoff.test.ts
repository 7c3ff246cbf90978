import fc from 'fast-check'
import t from 'tap'
import { backoffMs, retryAfterMs } from '../../src/gateway/backoff.ts'

for (const { desc, retry, baseMs = 25, maxMs = 1000, random = 0.5, want } of [
  { desc: 'the first waits up to the base', retry: 1, want: 12.5 },
  { desc: 'the second up to twice that', retry: 2, want: 25 },
  { desc: 'the third up to four times', retry: 3, want: 50 },
  { desc: 'none up to more than the most', retry: 9, want: 500 },
  { desc: 'the least is nothing', retry: 5, random: 0, want: 0 },
  { desc: 'a base of 0 waits not', retry: 9, baseMs: 0, want: 0 },
  { desc: 'a most of 0 waits not', retry: 1, maxMs: 0, want: 0 },
  { desc: 'a most under the base wins', retry: 1, maxMs: 10, want: 5 },
]) {
  t.test(desc, async t => t.equal(backoffMs(retry, baseMs, maxMs, () => random), want))
}

const NOW_MS = Date.UTC(2026, 10, 24, 12, 0, 0)

for (const { desc, value, want } of [
  { desc: 'no header', value: undefined, want: null },
  { desc: 'nothing in it', value: '', want: null },
  { desc: 'seconds', value: '120', want: 120_000 },
  { desc: 'no seconds', value: '0', want: 0 },
  { desc: 'leading zeros', value: '007', want: 7000 },
  { desc: 'years of seconds', value: '4000000000', want: 4e12 },
  { desc: 'negative seconds', value: '-1', want: null },
  { desc: 'signed seconds', value: '+1', want: null },
  { desc: 'parts of seconds', value: '1.5', want: null },
  { desc: 'seconds in hexadecimal', value: '0x10', want: null },
  { desc: 'an exponent', value: '1e3', want: null },
  { desc: 'a list', value: '1, 2', want: null },
  { desc: 'a word', value: 'soon', want: null },
  { desc: 'IMF-fixdate', value: 'Tue, 24 Nov 2026 12:01:30 GMT', want: 90_000 },
  { desc: 'RFC 850', value: 'Tuesday, 24-Nov-26 12:01:30 GMT', want: 90_000 },
  { desc: 'asctime', value: 'Tue Nov 24 12:01:30 2026', want: 90_000 },
  { desc: 'asctime with one digit', value: 'Tue Dec  1 12:00:00 2026', want: 7 * 86_400_000 },
  { desc: 'asctime with a zero before it', value: 'Tue Dec 01 12:00:00 2026', want: 7 * 86_400_000 },
  { desc: 'now', value: 'Tue, 24 Nov 2026 12:00:00 GMT', want: 0 },
  { desc: 'a date that has passed', value: 'Sun, 06 Nov 1994 08:49:37 GMT', want: 0 },
  { desc: 'RFC 850 in the last century', value: 'Sunday, 06-Nov-94 08:49:37 GMT', want: 0 },
  { desc: 'RFC 850, 50 years ahead', value: 'Tuesday, 24-Nov-76 12:00:00 GMT', want: Date.UTC(2076, 10, 24, 12) - NOW_MS },
  { desc: 'RFC 850, 51 years ahead, is 49 years ago', value: 'Thursday, 24-Nov-77 12:00:00 GMT', want: 0 },
  { desc: 'a leap second', value: 'Thu, 31 Dec 2026 23:59:60 GMT', want: Date.UTC(2027, 0, 1) - NOW_MS },
  { desc: 'a leap day', value: 'Tue, 29 Feb 2028 00:00:00 GMT', want: Date.UTC(2028, 1, 29) - NOW_MS },
  { desc: 'a leap day in a common year', value: 'Mon, 29 Feb 2027 00:00:00 GMT', want: null },
  { desc: 'a day that is none', value: 'Tue, 00 Dec 2026 12:00:00 GMT', want: null },
  { desc: 'a month that is none', value: 'Tue, 24 Nev 2026 12:00:00 GMT', want: null },
  { desc: 'an hour that is none', value: 'Tue, 24 Nov 2026 24:00:00 GMT', want: null },
  { desc: 'a minute that is none', value: 'Tue, 24 Nov 2026 12:60:00 GMT', want: null },
  { desc: 'a year before 1900', value: 'Tue, 24 Nov 0050 12:00:00 GMT', want: null },
  { desc: 'another zone', value: 'Tue, 24 Nov 2026 12:01:30 CET', want: null },
  { desc: 'an offset', value: 'Tue, 24 Nov 2026 12:01:30 +0000', want: null },
  { desc: 'no zone', value: 'Tue, 24 Nov 2026 12:01:30', want: null },
  { desc: 'no day of the week', value: '24 Nov 2026 12:01:30 GMT', want: null },
  { desc: 'ISO 8601', value: '2026-11-24T12:01:30Z', want: null },
  { desc: 'something behind a date', value: 'Tue, 24 Nov 2026 12:01:30 GMT, 5', want: null },
]) {
  t.test(`Retry-After: ${desc}`, async t => t.equal(retryAfterMs(value, NOW_MS), want))
}

const settings = { seed: 20_240, numRuns: 2000 }

t.test('a wait is within its bounds, which never shrink', async t => {
  const ratio = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  fc.assert(fc.property(fc.integer({ min: 1, max: 10 }), fc.nat(60_000), fc.nat(60_000), ratio, (retry, baseMs, maxMs, random) => {
    const waitMs = backoffMs(retry, baseMs, maxMs, () => random)
    return waitMs >= 0 && waitMs <= maxMs && waitMs <= backoffMs(retry + 1, baseMs, maxMs, () => random)
  }), settings)
  t.pass()
})

t.test('reads every date in its three forms', async t => {
  const date = fc.date({ min: new Date(NOW_MS), max: new Date(NOW_MS + 49 * 365 * 86_400_000), noInvalidDate: true })
  fc.assert(fc.property(date, date => {
    const wantMs = Math.floor(date.getTime() / 1000) * 1000 - NOW_MS
    const fixed = date.toUTCString()
    const [, dayName, day, month, year, time] = /^(\w+), (\d\d) (\w+) (\d+) (.*) GMT$/.exec(fixed)!
    const longName = date.toLocaleDateString('en-US', { weekday: 'long', timeZone: 'UTC' })
    const forms = [fixed, `${longName}, ${day}-${month}-${year!.slice(2)} ${time} GMT`, `${dayName} ${month} ${String(Number(day)).padStart(2)} ${time} ${year}`]
    return forms.every(form => retryAfterMs(form, NOW_MS) === wantMs)
  }), settings)
  t.pass()
})

t.test('takes any text without a throw, and only waits that are none or more', async t => {
  const piece = fc.constantFrom('Tue', ', ', '24', ' ', 'Nov', '-', '2026', '12:01:30', 'GMT', '0', 'Tuesday')
  fc.assert(fc.property(fc.oneof(fc.string(), fc.array(piece, { maxLength: 9 }).map(pieces => pieces.join(''))), value => {
    const waitMs = retryAfterMs(value, NOW_MS)
    return waitMs === null || waitMs >= 0
  }), settings)
  t.pass()
})
