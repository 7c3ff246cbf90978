type Latin1Buffer = Buffer & { latin1Slice?: (start: number, end: number) => string }

/** Bytes as text, one character a byte. Node's own method is a third of the cost of toString, but not documented. */
export const latin1: (buffer: Buffer, start: number, end: number) => string =
  typeof (Buffer.prototype as Latin1Buffer).latin1Slice === 'function'
    ? (buffer, start, end) => (buffer as Required<Latin1Buffer>).latin1Slice(start, end)
    : (buffer, start, end) => buffer.toString('latin1', start, end)
