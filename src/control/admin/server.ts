import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { fastify, type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import type { Log } from '../../telemetry/log.ts'
import { createGuard } from './guard.ts'
import { describeApi } from './openapi.ts'
import { ADMIN_PROBLEMS, AdminProblem, type AdminProblemCode } from './problem.ts'
import { type AdminAnswer, type AdminDeps, adminRoutes, type AdminRequest, type AdminRoute } from './routes.ts'

const MAX_BODY_BYTES = 65_536
const REQUEST_TIMEOUT_MS = 10_000
const KEEP_ALIVE_MS = 30_000

/** What fastify has against a request; anything else below 500 is a bad one too. */
const CODES: Readonly<Record<string, AdminProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'ADMIN_BODY_TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'ADMIN_MEDIA_TYPE',
  FST_ERR_HANDLER_TIMEOUT: 'ADMIN_UNAVAILABLE',
}

type ServerLog = Pick<Log, 'error'>

/** The admin API as a server that does not listen yet. `token` null: it will listen on loopback. */
export function createAdminServer(token: string | null, deps: AdminDeps, log: ServerLog): FastifyInstance {
  const server: FastifyInstance = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: 2 * REQUEST_TIMEOUT_MS,
    handlerTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 256 },
    // Nothing is turned into what was meant: a member that is not known, or a number for a text, is refused.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allowUnionTypes: true } },
    clientErrorHandler: (_cause, socket) => refuseBytes(socket),
    frameworkErrors: (error, _request, reply) => { sendProblem(reply, problemOf(error, log)) },
  })
  const guard = createGuard(token)
  server.removeContentTypeParser('text/plain')
  server.addHook('onRequest', async (request, reply) => {
    reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
    guard(request.headers)
  })
  server.setErrorHandler((error: FastifyError, _request, reply) => sendProblem(reply, problemOf(error, log)))

  const routes = [...adminRoutes, descriptionRoute(token !== null)]
  for (const route of routes) addRoute(server, route, deps)
  const patterns = routes.map(({ method, path }) => ({ method, pattern: new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`) }))
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0]!
    const methods = patterns.filter(({ pattern }) => pattern.test(path)).map(({ method }) => (method === 'GET' ? 'GET, HEAD' : method))
    sendProblem(reply, methods.length === 0
      ? new AdminProblem('ADMIN_NOT_FOUND', 'there is no such path: GET /openapi.json describes those there are')
      : new AdminProblem('ADMIN_METHOD_NOT_ALLOWED', `takes ${methods.join(', ')}`, { allow: methods.join(', ') }))
  })
  return server
}

function descriptionRoute(hasToken: boolean): AdminRoute {
  const route: AdminRoute = {
    name: 'getDescription', method: 'GET', path: '/openapi.json', summary: 'This description.', problems: [],
    answer: { status: 200, means: 'OpenAPI 3.1.', component: null }, handle: () => ({ body }),
  }
  const body = describeApi([...adminRoutes, route], hasToken)
  return route
}

function addRoute(server: FastifyInstance, route: AdminRoute, deps: AdminDeps): void {
  const { method, path, params, body, answer } = route
  server.route({
    method,
    url: path.replace(/\{(\w+)\}/g, ':$1'),
    schema: {
      ...(params === undefined ? {} : { params: { type: 'object', properties: params } }),
      ...(body === undefined ? {} : { body }),
    },
    preValidation: async request => { if (body !== undefined && body.required === undefined) request.body ??= {} },
    handler: async (request, reply) => {
      const result: AdminAnswer = await route.handle(
        { params: request.params as AdminRequest['params'], query: request.query as AdminRequest['query'], body: request.body }, deps)
      if (result.location !== undefined) reply.header('location', result.location)
      return reply.code(answer.status).type('application/json').send(Buffer.from(`${JSON.stringify(result.body)}\n`))
    },
  })
}

function problemOf(error: FastifyError | AdminProblem, log: ServerLog): AdminProblem {
  if (error instanceof AdminProblem) return error
  const code = CODES[error.code]
  if (code !== undefined) return new AdminProblem(code, ADMIN_PROBLEMS[code].means)
  const status = error.statusCode ?? 500
  if (status >= 500) {
    log.error({ event: 'adminFault', problem: error.stack ?? error.message })
    return new AdminProblem('ADMIN_INTERNAL', 'the log of the gateway tells more')
  }
  return new AdminProblem('ADMIN_BAD_REQUEST', error.validation === undefined ? error.message : validationDetail(error))
}

/** Where a value is not what it must be, and what; never the value. */
function validationDetail({ validation = [], validationContext = 'body' }: FastifyError): string {
  const [first] = validation
  const unknown = first?.params['additionalProperty']
  return `/${validationContext}${first?.instancePath ?? ''}: ${unknown === undefined ? first?.message : `'${String(unknown)}' is not known here`}`
}

function sendProblem(reply: FastifyReply, problem: AdminProblem): FastifyReply {
  return reply.code(problem.status).headers(problem.headers).type('application/problem+json').send(problemBody(problem))
}

function problemBody({ status, code, message }: AdminProblem): Buffer {
  return Buffer.from(`${JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status], status, code, detail: message })}\n`)
}

/** Bytes that are no HTTP, or a head that is too large or too slow: there is no request to answer. */
function refuseBytes(socket: Socket): void {
  if (!socket.writable) return
  const body = problemBody(new AdminProblem('ADMIN_BAD_REQUEST', 'this is not an HTTP request'))
  const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
  socket.end(Buffer.concat([Buffer.from(head), body]))
}
