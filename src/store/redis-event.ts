/** What becomes of the connection to Redis, for the log and `status`; never with a secret in it. */
export type RedisEvent =
  | { readonly event: 'redisConnected' | 'redisRecovered'; readonly address: string }
  /** Told once, until it is there again. */
  | { readonly event: 'redisLost'; readonly address: string; readonly reason: string }
  | { readonly event: 'redisWarning'; readonly address: string; readonly problem: string }
