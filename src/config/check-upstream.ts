import { parseAddress, problemOfEndpoint } from './address.ts'
import type { FindingList } from './finding-list.ts'
import type { PemFiles } from './pem-files.ts'
import type { UpstreamConfig } from './schema.ts'

const SOURCES = ['dns', 'srv', 'file', 'url'] as const
const SRV_NAME = /^_[A-Za-z0-9-]+\._(?:tcp|udp)\.[A-Za-z0-9_.-]+$/

/** Endpoints, where more of them are found, and certificates of one upstream. */
export function checkUpstream(name: string, { endpoints, discovery, breaker, tls }: UpstreamConfig, list: FindingList, files: PemFiles): void {
  const place = ['upstreams', name]
  const firsts = new Map<string, number>()
  endpoints.forEach((endpoint, index) => {
    const path = [...place, 'endpoints', index, ...(typeof endpoint === 'string' ? [] : ['url'])]
    const url = typeof endpoint === 'string' ? endpoint : endpoint.url
    const problem = problemOfEndpoint(url)
    if (problem !== null) {
      list.add(path, `endpoint ${list.quote(path, redactUrl(url))}: ${problem}`)
      return
    }
    const { origin } = new URL(url)
    const first = firsts.get(origin)
    if (first === undefined) firsts.set(origin, index)
    else list.add(path, `endpoint ${list.quote(path, url)} is the same as endpoint ${first}: keep one, with a weight`)
  })
  if (discovery === null) {
    if (endpoints.length === 0) list.add([...place, 'endpoints'], 'must have at least one entry, or \'discovery\' beside it', 'key')
  } else checkDiscovery(discovery, [...place, 'discovery'], list)

  const { adaptive } = breaker
  if (adaptive !== null && adaptive.minInFlight > adaptive.maxInFlight) {
    list.add([...place, 'breaker', 'adaptive', 'minInFlight'], `must be at most maxInFlight, ${adaptive.maxInFlight}`)
  }
  const path = [...place, 'tls']
  if (tls.ca !== null) files.certificate(tls.ca, [...path, 'ca'])
  if (tls.cert !== null && tls.key !== null) files.pair(tls.cert, tls.key, path)
  else if (tls.cert !== null) list.add([...path, 'cert'], '\'cert\' needs \'key\' beside it')
  else if (tls.key !== null) list.add([...path, 'key'], '\'key\' needs \'cert\' beside it')
}

function checkDiscovery(discovery: NonNullable<UpstreamConfig['discovery']>, path: readonly (string | number)[], list: FindingList): void {
  const named = SOURCES.filter(source => discovery[source] !== undefined)
  if (named.length !== 1) {
    list.add([...path], named.length === 0 ? 'has no source: add one of dns, srv, file, url' : `has ${named.length} sources, ${named.join(' and ')}: keep one`)
  }
  const { dns, srv, url, resolver } = discovery
  if (dns !== undefined) {
    const problem = problemOfEndpoint(dns)
    if (problem !== null) list.add([...path, 'dns'], `${list.quote([...path, 'dns'], redactUrl(dns))}: ${problem}`)
  }
  if (srv !== undefined && !SRV_NAME.test(srv)) {
    list.add([...path, 'srv'], `${list.quote([...path, 'srv'], srv)} is no name of SRV records: write for example _http._tcp.users.internal`)
  }
  if (url !== undefined && !(/^https?:\/\//.test(url) && URL.canParse(url))) {
    list.add([...path, 'url'], `${list.quote([...path, 'url'], redactUrl(url))} is not an http or https URL`)
  } else if (url !== undefined && new URL(url).username + new URL(url).password !== '') {
    list.add([...path, 'url'], `${list.quote([...path, 'url'], redactUrl(url))} holds credentials: remove them`)
  }
  if (resolver !== null) {
    const parsed = parseAddress(resolver)
    // Node ends the whole process over a port of 0.
    const problem = 'problem' in parsed ? parsed.problem : parsed.port === 0 ? 'port 0 can\'t be asked: name servers mostly listen on 53' : null
    if (problem !== null) list.add([...path, 'resolver'], `${list.quote([...path, 'resolver'], resolver)}: ${problem}`)
  }
}

/** A password in a URL is a secret even where it is not a variable. */
function redactUrl(url: string): string {
  return url.replace(/\/\/[^\/]*@/, '//[redacted]@')
}
