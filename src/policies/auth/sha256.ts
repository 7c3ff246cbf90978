import crypto from 'node:crypto'

/** SHA-256 in hexadecimal. The one-shot call takes half the time and is there from Node 20.12 on. */
export const sha256Hex: (text: string) => string = typeof crypto.hash === 'function'
  ? text => crypto.hash('sha256', text, 'hex')
  : text => crypto.createHash('sha256').update(text).digest('hex')
