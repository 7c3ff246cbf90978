import { z } from 'zod'

/** Kinds of values that stand in several places of the document. */

export const milliseconds = (minimum = 1) => z.int().min(minimum).max(2_147_483_647)
export const bytes = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) => z.int().min(minimum).max(maximum)
export const text = () => z.string().min(1)
export const ratio = () => z.number().min(0).max(1)
/** A header name in the document; compared without regard to case, kept in lower case. */
export const headerName = () => z.string().regex(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/, 'must be a header name: letters, digits and - _ . and a few signs').toLowerCase()
/** A header value: visible ASCII, space and tab; no CR or LF can come through. */
export const headerValue = () => z.string().regex(/^[\t\x20-\x7e]*$/, 'may hold visible ASCII, space and tab only')

export const requestKey = () => z.string().regex(/^(?:ip|(?:header|cookie|query|param):.+)$/, 'must be ip, or header:NAME, cookie:NAME, query:NAME or param:NAME')
