import { App, type HttpRequest, type HttpResponse, SSLApp, type TemplatedApp, us_listen_socket_close, type us_listen_socket } from 'uWebSockets.js'
import { RemoteAddresses } from './remote-addresses.ts'

export type ListenerTls = {
  /** The first answers clients that send no server name. */
  readonly certificates: readonly { readonly hosts: readonly string[]; readonly certFile: string; readonly keyFile: string }[]
}

export type ListenerOptions = {
  readonly host: string
  readonly port: number
  readonly tls: ListenerTls | null
}

/** Gets each request while it is readable: what of `request` is needed is read before it returns. */
export type RequestHandler = (response: HttpResponse, request: HttpRequest, remotes: RemoteAddresses) => void

/**
 * One address on which this thread accepts. Threads listen side by side on the same port (SO_REUSEPORT); the kernel
 * spreads connections over them.
 */
export class Listener {
  readonly #app: TemplatedApp
  #socket: us_listen_socket | null = null

  constructor(tls: ListenerTls | null, handler: RequestHandler) {
    const remotes = new RemoteAddresses()
    const onRequest: UwsHandler = (response, request) => handler(response, request, remotes)
    this.#app = tls === null ? App().any('/*', onRequest) : createTlsApp(tls, onRequest)
    this.#app.filter((response, change) => remotes.onConnection(response, change))
  }

  /** Rejects when the address can't be had. */
  listen(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#app.listen(host, port, socket => {
        if (socket === false) {
          reject(new Error(`cannot listen on ${host}:${port}: the address is in use or is not one of this machine`))
          return
        }
        this.#socket = socket
        resolve()
      })
    })
  }

  /** Accepts no more; open connections live on. */
  stop(): void {
    if (this.#socket !== null) us_listen_socket_close(this.#socket)
    this.#socket = null
  }

  /** Ends every connection. */
  close(): void {
    this.#app.close()
    this.#socket = null
  }
}

type UwsHandler = (response: HttpResponse, request: HttpRequest) => void

function createTlsApp(tls: ListenerTls, handler: UwsHandler): TemplatedApp {
  const [first] = tls.certificates
  if (first === undefined) throw new Error('a TLS listener needs a certificate')
  const app = SSLApp({ cert_file_name: first.certFile, key_file_name: first.keyFile }).any('/*', handler)
  // One certificate answers every name as it is; uWS prints a line for each name that is added.
  if (tls.certificates.length === 1) return app
  for (const { hosts, certFile, keyFile } of tls.certificates) {
    for (const host of hosts) {
      app.addServerName(host, { cert_file_name: certFile, key_file_name: keyFile })
      // uWS keeps the routes of each server name apart.
      app.domain(host).any('/*', handler)
    }
  }
  return app
}
