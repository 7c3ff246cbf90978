import t from 'tap'
import { BytesBody } from '../../src/http/bytes-body.ts'

function sinkOf(wantsMore: boolean) {
  const events: string[] = []
  return {
    events,
    write: (chunk: Uint8Array): boolean => {
      events.push(Buffer.from(chunk).toString())
      return wantsMore
    },
    end: (): void => { events.push('end') },
  }
}

t.test('gives all at once', async t => {
  const body = new BytesBody(Buffer.from('abc'))
  const sink = sinkOf(true)
  body.start(sink)
  body.resume()
  t.strictSame([body.contentLength, body.isComplete, sink.events], [3, true, ['abc', 'end']])
})

t.test('keeps its end until a slow sink takes more', async t => {
  const body = new BytesBody(Buffer.from('abc'))
  const sink = sinkOf(false)
  body.start(sink)
  t.strictSame(sink.events, ['abc'])
  body.resume()
  body.resume()
  t.strictSame(sink.events, ['abc', 'end'])
})

t.test('an empty one only ends; a discarded one says no more', async t => {
  const empty = sinkOf(true)
  new BytesBody(new Uint8Array(0)).start(empty)
  t.strictSame(empty.events, ['end'])
  const body = new BytesBody(Buffer.from('abc'))
  const slow = sinkOf(false)
  body.start(slow)
  body.discard()
  body.resume()
  t.strictSame(slow.events, ['abc'])
})
