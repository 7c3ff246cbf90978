const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const MONTH = `(?<month>${MONTHS.join('|')})`
const DAY_NAME = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY_NAME = '(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day'
// 60 is a leap second.
const TIME = '(?<hour>[01][0-9]|2[0-3]):(?<minute>[0-5][0-9]):(?<second>[0-5][0-9]|60)'

/** RFC 9110 section 5.6.7: IMF-fixdate, and the two obsolete forms that a recipient must take as well. */
const HTTP_DATES = [
  new RegExp(`^${DAY_NAME}, (?<day>[0-9]{2}) ${MONTH} (?<year>[0-9]{4}) ${TIME} GMT$`),
  new RegExp(`^${LONG_DAY_NAME}, (?<day>[0-9]{2})-${MONTH}-(?<year>[0-9]{2}) ${TIME} GMT$`),
  new RegExp(`^${DAY_NAME} ${MONTH} (?<day>[0-9]{2}| [0-9]) ${TIME} (?<year>[0-9]{4})$`),
]

/**
 * The wait before a retry, with full jitter: anything from 0 to a bound that doubles, so that clients that failed
 * together do not come back together. `retry`: 1 for the first one. `random`: 0 to below 1.
 * Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog 2015.
 */
export function backoffMs(retry: number, baseMs: number, maxMs: number, random: () => number): number {
  return random() * Math.min(maxMs, baseMs * 2 ** (retry - 1))
}

/**
 * How long a Retry-After asks to wait; 0 for a date that has passed, null without a valid one. As long as it says, for
 * years if it does: the caller compares. `nowEpochMs`: since 1970, as Date.now.
 * Source: RFC 9110 section 10.2.3.
 */
export function retryAfterMs(value: string | undefined, nowEpochMs: number): number | null {
  if (value === undefined) return null
  if (/^[0-9]+$/.test(value)) return Number(value) * 1000
  const dateMs = parseHttpDate(value, nowEpochMs)
  return dateMs === null ? null : Math.max(0, dateMs - nowEpochMs)
}

function parseHttpDate(value: string, nowEpochMs: number): number | null {
  for (const form of HTTP_DATES) {
    const parts = form.exec(value)?.groups
    if (parts === undefined) continue
    const year = parts.year!.length === 2 ? wholeYear(Number(parts.year), nowEpochMs) : Number(parts.year)
    const day = Number(parts.day)
    const date = new Date(Date.UTC(year, MONTHS.indexOf(parts.month!), day))
    // Date.UTC takes 31 February for a day in March, and the year 50 for 1950.
    if (date.getUTCDate() !== day || date.getUTCFullYear() !== year) return null
    return date.getTime() + ((Number(parts.hour) * 60 + Number(parts.minute)) * 60 + Number(parts.second)) * 1000
  }
  return null
}

/** The latest year with these two last digits that is at most 50 years ahead (RFC 9110 section 5.6.7). */
function wholeYear(lastDigits: number, nowEpochMs: number): number {
  const latest = new Date(nowEpochMs).getUTCFullYear() + 50
  return latest - (latest - lastDigits) % 100
}
