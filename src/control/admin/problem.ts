/** Every reason why the admin API does not do what it was asked, with its status. */
export const ADMIN_PROBLEMS = {
  ADMIN_BAD_REQUEST: { status: 400, means: 'the request is not what the description of its route asks for; `detail` tells where' },
  ADMIN_UNAUTHORIZED: { status: 401, means: 'no token, or not the right one' },
  ADMIN_FORBIDDEN: { status: 403, means: 'without a token, only what is sent to a loopback name and from no other web page is served' },
  ADMIN_NOT_FOUND: { status: 404, means: 'there is no such path' },
  ADMIN_UNKNOWN_CONSUMER: { status: 404, means: 'neither the document nor the store has this consumer' },
  ADMIN_UNKNOWN_KEY: { status: 404, means: 'the store has no such key' },
  ADMIN_METHOD_NOT_ALLOWED: { status: 405, means: 'the path is there, but not for this method; Allow names those it takes' },
  ADMIN_CONSUMER_EXISTS: { status: 409, means: 'the document or the store has this consumer already' },
  ADMIN_TOO_MANY_KEYS: { status: 409, means: 'the consumer has `admin.maxKeysPerConsumer` valid keys already' },
  ADMIN_BODY_TOO_LARGE: { status: 413, means: 'the body is larger than 64 KiB' },
  ADMIN_MEDIA_TYPE: { status: 415, means: 'the body is not application/json' },
  ADMIN_UNKNOWN_PLAN: { status: 422, means: 'the document has no such plan' },
  ADMIN_INTERNAL: { status: 500, means: 'a fault of the gateway, or its data directory can\'t be written; the log tells more' },
  ADMIN_UNAVAILABLE: { status: 503, means: 'the request took too long, or the gateway is stopping' },
} as const satisfies Record<string, { readonly status: number; readonly means: string }>

export type AdminProblemCode = keyof typeof ADMIN_PROBLEMS

/** Answered as application/problem+json (RFC 9457); `message` is its `detail`, and holds no secret. */
export class AdminProblem extends Error {
  readonly code: AdminProblemCode
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: AdminProblemCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.name = 'AdminProblem'
    this.code = code
    this.status = ADMIN_PROBLEMS[code].status
    this.headers = headers
  }
}
