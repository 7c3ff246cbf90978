/** An endpoint with every default filled in; `name` as in EndpointAddress. */
export type TableEndpoint = {
  readonly url: string
  readonly weight?: number
  readonly priority?: number
  readonly zone?: string | null
  readonly name?: string | null
}

/** What the primary knows of one upstream: all endpoints, static and discovered, and those that its probes found dead. */
export type EndpointTable = {
  readonly endpoints: readonly TableEndpoint[]
  /** URLs. */
  readonly unhealthy: readonly string[]
}

/** By name of the upstream. */
export type EndpointTables = Readonly<Record<string, EndpointTable>>
