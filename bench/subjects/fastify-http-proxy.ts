import httpProxy from '@fastify/http-proxy'
import fastify from 'fastify'

/** @fastify/http-proxy as its README shows it. Arguments: port, port of the upstream. */
const app = fastify({ logger: false })
await app.register(httpProxy, { upstream: `http://127.0.0.1:${process.argv[3]}` })
await app.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
