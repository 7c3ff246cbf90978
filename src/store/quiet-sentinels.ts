import { type Redis, type RedisOptions, type SentinelConnectionOptions, SentinelConnector } from 'ioredis'

type ConnectToSentinel = (this: SentinelConnector, address: object, options?: RedisOptions) => Redis

const { connectToSentinel } = SentinelConnector.prototype as unknown as { connectToSentinel: ConnectToSentinel }

/**
 * Finds the master through Sentinels. ioredis gives the connections of its failover detector no listener for errors, and then
 * prints each with its stack on standard error, where our log has lines of JSON.
 * `connectToSentinel` is private to ioredis 6.0.0; test/store/failover.test.ts kills a Sentinel and would see the print.
 */
export class QuietSentinels extends SentinelConnector {
  // What ioredis declares of a connector.
  constructor(options: unknown) {
    super(options as SentinelConnectionOptions)
  }
}

Object.defineProperty(QuietSentinels.prototype, 'connectToSentinel', {
  value(this: SentinelConnector, address: object, options?: RedisOptions): Redis {
    const sentinel = connectToSentinel.call(this, address, options)
    sentinel.on('error', () => {})
    return sentinel
  },
})
