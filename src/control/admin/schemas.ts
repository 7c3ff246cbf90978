import { ADMIN_PROBLEMS } from './problem.ts'

/** As much of JSON Schema (2020-12) as the descriptions here use. */
export type JsonSchema = {
  readonly $ref?: string
  readonly type?: string | readonly string[]
  readonly description?: string
  readonly format?: string
  readonly pattern?: string
  readonly enum?: readonly string[]
  readonly const?: unknown
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly maxItems?: number
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean | JsonSchema
  readonly required?: readonly string[]
}

const CONSUMER_ID = '^[\\w.:@-]{1,128}$'

export const consumerId: JsonSchema = { type: 'string', pattern: CONSUMER_ID, description: 'Letters, digits and _ . : @ -, at most 128.' }
export const keyId: JsonSchema = { type: 'string', pattern: '^[\\w-]{1,64}$', description: 'Id of a key; not the key.' }
const plan: JsonSchema = { type: ['string', 'null'], maxLength: 128 }
const name: JsonSchema = { type: 'string', pattern: '^[^\\u0000-\\u001f\\u007f]{1,128}$' }
const time: JsonSchema = { type: 'string', format: 'date-time' }
const timeOrNull: JsonSchema = { type: ['string', 'null'], format: 'date-time' }

/** An object that has all of these and nothing else. */
const object = (properties: Record<string, JsonSchema>, description?: string): JsonSchema => ({
  type: 'object', ...(description === undefined ? {} : { description }), properties, required: Object.keys(properties), additionalProperties: false,
})
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const ref = (component: string): JsonSchema => ({ $ref: `#/components/schemas/${component}` })

export const newConsumer: JsonSchema = {
  type: 'object',
  properties: {
    id: consumerId,
    plan: { ...plan, description: 'Name of a plan of the document; null: none.' },
    groups: { type: 'array', items: name, maxItems: 100 },
  },
  required: ['id'],
  additionalProperties: false,
}

export const newKey: JsonSchema = {
  type: 'object',
  properties: {
    plan: { ...plan, description: 'Name of a plan of the document, for this key alone; null: that of its consumer.' },
    expiresAt: { ...timeOrNull, description: 'In the future; null: never.' },
  },
  additionalProperties: false,
}

const keyProperties: Record<string, JsonSchema> = {
  id: keyId,
  consumer: consumerId,
  plan,
  prefix: { type: 'string', description: 'What every key starts with.' },
  lastFour: { type: 'string', description: 'The last four characters of the key.' },
  state: { type: 'string', enum: ['valid', 'expired', 'revoked'] },
  createdAt: time,
  expiresAt: timeOrNull,
  revokedAt: timeOrNull,
}
const page = (component: string): JsonSchema => object({
  items: list(ref(component)),
  next: { type: ['string', 'null'], description: 'For `after` of the next page; null: this is the last.' },
})

/** What the routes answer; names as in the OpenAPI description. */
export const components: Readonly<Record<string, JsonSchema>> = {
  Consumer: object({
    id: { type: 'string' },
    plan,
    groups: list({ type: 'string' }),
    source: { type: 'string', enum: ['document', 'store'], description: 'Where it comes from; one of the document is changed there.' },
    createdAt: { ...timeOrNull, description: 'null: it is of the document.' },
  }),
  Consumers: page('Consumer'),
  Key: object(keyProperties),
  Keys: page('Key'),
  NewKey: object({ ...keyProperties, key: { type: 'string', description: 'The key itself. It is kept nowhere and never shown again.' } }),
  Status: object({
    version: { type: 'string', description: 'Of the configuration that is served.' },
    startedAt: time,
    uptimeMs: { type: 'number' },
    workers: object({ configured: { type: 'integer' }, ready: { type: 'integer' } }),
    upstreams: {
      type: 'object',
      additionalProperties: object({
        endpoints: list(object({
          url: { type: 'string' },
          isHealthy: { type: 'boolean', description: 'False: the probes found it dead. Without `health`, always true.' },
          priority: { type: 'integer' },
          zone: { type: ['string', 'null'] },
        })),
      }),
    },
  }),
  Problem: {
    ...object({
      type: { type: 'string', const: 'about:blank' },
      title: { type: 'string' },
      status: { type: 'integer' },
      code: { type: 'string', enum: Object.keys(ADMIN_PROBLEMS), description: Object.entries(ADMIN_PROBLEMS).map(([code, { means }]) => `${code}: ${means}`).join('. ') },
      detail: { type: 'string' },
    }, 'RFC 9457.'),
  },
}
