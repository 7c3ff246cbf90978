import type { Headers } from '../http/headers.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { Policy, PolicyExchange, PolicySpec } from './policy.ts'
import { compileHeaderTemplate, type TemplateScope } from './template.ts'

/** Headers of the response to the client. */
export const responseTransform: PolicySpec = {
  name: 'response transform',
  create: ({ response }) => {
    const changes = Object.keys(response.headers.set).length + response.headers.remove.length
    return changes === 0 ? null : new ResponseTransform(response)
  },
}

class ResponseTransform implements Policy {
  readonly #remove: readonly string[]
  readonly #set: readonly (readonly [string, (scope: TemplateScope) => string])[]

  constructor(config: RouteConfig['response']) {
    this.#remove = config.headers.remove
    this.#set = Object.entries(config.headers.set).map(([name, value]) => [name, compileHeaderTemplate(value)])
  }

  onResponse(exchange: PolicyExchange, _status: number, headers: Headers): void {
    for (const name of this.#remove) headers.remove(name)
    for (const [name, value] of this.#set) headers.set(name, value(exchange))
  }
}
