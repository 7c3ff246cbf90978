import type { RouteConfig } from '../config/schema.ts'
import type { Policy, PolicyExchange, PolicySpec, Verdict } from './policy.ts'
import { compileHeaderTemplate, compilePathTemplate, type TemplateScope } from './template.ts'

/** Path and headers of the request to the upstream. Stands last before the destination: it sees what travels on. */
export const requestTransform: PolicySpec = {
  name: 'request transform',
  create: ({ request }) => {
    const changes = Object.keys(request.headers.set).length + request.headers.remove.length
    return request.path === undefined && changes === 0 ? null : new RequestTransform(request)
  },
}

class RequestTransform implements Policy {
  readonly #path: ((scope: TemplateScope) => string) | null
  readonly #remove: readonly string[]
  readonly #set: readonly (readonly [string, (scope: TemplateScope) => string])[]

  constructor(config: RouteConfig['request']) {
    this.#path = config.path === undefined ? null : compilePathTemplate(config.path)
    this.#remove = config.headers.remove
    this.#set = Object.entries(config.headers.set).map(([name, value]) => [name, compileHeaderTemplate(value)])
  }

  onRequest(exchange: PolicyExchange): Verdict {
    const { headers } = exchange.request
    if (this.#path !== null) exchange.upstreamPath = this.#path(exchange)
    // All values first: a template names what the client sent, whatever is set or removed beside it.
    const values = this.#set.map(([, value]) => value(exchange))
    for (const name of this.#remove) headers.remove(name)
    this.#set.forEach(([name], index) => headers.set(name, values[index]!))
    return null
  }
}
