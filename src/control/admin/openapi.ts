import { STATUS_CODES } from 'node:http'
import { ADMIN_PROBLEMS, type AdminProblemCode } from './problem.ts'
import type { AdminRoute } from './routes.ts'
import { components, type JsonSchema } from './schemas.ts'

/** What any route may answer. */
const COMMON: readonly AdminProblemCode[] = ['ADMIN_UNAUTHORIZED', 'ADMIN_FORBIDDEN', 'ADMIN_INTERNAL', 'ADMIN_UNAVAILABLE']

/** The OpenAPI 3.1 description of the routes. */
export function describeApi(routes: readonly AdminRoute[], hasToken: boolean): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) (paths[route.path] ??= {})[route.method.toLowerCase()] = operationOf(route)
  return {
    openapi: '3.1.0',
    info: { title: 'Penstock admin API', version: '1', description: 'Consumers, keys and the state of one gateway.' },
    paths,
    components: {
      schemas: components,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: '`admin.token` of the document.' } },
    },
    security: hasToken ? [{ token: [] }] : [],
  }
}

function operationOf(route: AdminRoute): Record<string, unknown> {
  const parameters = [...parametersIn('path', route.params, true), ...parametersIn('query', route.query, false)]
  const problems = new Map<number, AdminProblemCode[]>()
  const bodyProblems: AdminProblemCode[] = route.body === undefined ? [] : ['ADMIN_BAD_REQUEST', 'ADMIN_BODY_TOO_LARGE', 'ADMIN_MEDIA_TYPE']
  const ownProblems: AdminProblemCode[] = parameters.length > 0 ? ['ADMIN_BAD_REQUEST'] : []
  for (const code of new Set([...ownProblems, ...bodyProblems, ...route.problems, ...COMMON])) {
    const { status } = ADMIN_PROBLEMS[code]
    problems.set(status, [...problems.get(status) ?? [], code])
  }
  const { status, means, component } = route.answer
  const schema: JsonSchema = component === null ? { type: 'object' } : { $ref: `#/components/schemas/${component}` }
  return {
    operationId: route.name,
    summary: route.summary,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === undefined ? {} : {
      requestBody: { required: route.body.required !== undefined, content: { 'application/json': { schema: route.body } } },
    }),
    responses: {
      [status]: { description: means, content: { 'application/json': { schema } } },
      ...Object.fromEntries(Array.from(problems, ([problemStatus, codes]) => [problemStatus, {
        description: `${STATUS_CODES[problemStatus]}: ${codes.join(', ')}`,
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      }])),
    },
  }
}

function parametersIn(place: 'path' | 'query', schemas: Readonly<Record<string, JsonSchema>> = {}, required: boolean): object[] {
  return Object.entries(schemas).map(([name, schema]) => ({ name, in: place, required, schema }))
}
