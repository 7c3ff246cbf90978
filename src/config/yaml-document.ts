import { type Document, isAlias, isMap, isScalar, isSeq, type Node, parseDocument } from 'yaml'
import type { Path } from './pointer.ts'
import { type Finding, type SourceDocument, VariableReader } from './source-document.ts'
import { type Anchors, nameOf, YamlReader } from './yaml-reader.ts'
import { cutRoutes, type Cut } from './yaml-cut.ts'

/** From this size on a document is read in pieces; about 1,000 routes. */
const CUT_FROM_CHARACTERS = 262_144

/** A piece of the text as a document of its own. */
type Piece = {
  readonly text: string
  /** Offset in the whole text of an offset in the piece. */
  offsetOf(offset: number): number
}

/**
 * Reads YAML 1.2 (core schema). A long list of routes is read in pieces: the tree that the parser makes takes some
 * 150 times the text, 1.5 GB for 50,000 routes; in pieces it is 100 MB. Should any piece be odd on its own, the whole
 * text is read at once, so that cutting can never change what a document means.
 */
export function readYaml(text: string, environment: NodeJS.ProcessEnv, cutFromCharacters = CUT_FROM_CHARACTERS): SourceDocument {
  const cut = text.length < cutFromCharacters ? null : cutRoutes(text)
  return (cut && readPieces(text, cut, environment)) ?? readWhole(text, environment)
}

function readWhole(text: string, environment: NodeJS.ProcessEnv): SourceDocument {
  const piece: Piece = { text, offsetOf: offset => offset }
  const document = parsePiece(piece)
  const variables = new VariableReader(environment)
  const syntax = syntaxFindings(document, text)
  // A tree with errors is a guess: what would be found in it is noise.
  if (syntax.length > 0) return { value: null, variables: variables.variables, findings: syntax, locate: offsetsOf(() => null) }
  const reader = new YamlReader(variables)
  const value = document.contents === null ? undefined : reader.read(document.contents, [])
  return {
    value,
    variables: variables.variables,
    findings: [...reader.findings, ...variables.findings],
    locate: offsetsOf(path => ({ piece, document, path })),
  }
}

/** Null when a piece has errors, or is not what the cut took it for. */
function readPieces(text: string, cut: Cut, environment: NodeJS.ProcessEnv): SourceDocument | null {
  const removed = cut.ends.at(-1)! - cut.start
  const frame: Piece = {
    text: text.slice(0, cut.start) + text.slice(cut.ends.at(-1)),
    offsetOf: offset => (offset < cut.start ? offset : offset + removed),
  }
  const variables = new VariableReader(environment)
  const reader = new YamlReader(variables)
  const document = parsePiece(frame)
  if (syntaxFindings(document, frame.text).length > 0 || !isMap(document.contents)) return null
  const value = reader.read(document.contents, []) as Record<string, unknown>
  if (value.routes !== null) return null
  dropAnchorsFrom(reader.anchors, cut.start)
  const routes: unknown[] = []
  const firsts: number[] = []
  for (let index = 0; index < cut.ends.length; index++) {
    const items = parsePiece(pieceOf(text, cut, index))
    if (syntaxFindings(items, '').length > 0 || !isSeq(items.contents)) return null
    firsts.push(routes.length)
    for (const item of items.contents.items) routes.push(reader.read(item as Node | null, ['routes', routes.length]))
  }
  if (reader.findings.length > 0) return null
  value.routes = routes
  let open: { index: number; document: Document } | null = null
  return {
    value,
    variables: variables.variables,
    findings: variables.findings,
    locate: offsetsOf(path => {
      const [first, route] = path
      if (first !== 'routes' || typeof route !== 'number') return { piece: frame, document, path }
      const index = firsts.findLastIndex(start => start <= route)
      // Findings come in the order of the text, so one tree at a time is enough.
      if (open?.index !== index) open = { index, document: parsePiece(pieceOf(text, cut, index)) }
      return { piece: pieceOf(text, cut, index), document: open.document, path: [route - firsts[index]!, ...path.slice(2)] }
    }),
  }
}

function pieceOf(text: string, cut: Cut, index: number): Piece {
  const start = cut.ends[index - 1] ?? cut.start
  return { text: text.slice(start, cut.ends[index]), offsetOf: offset => offset + start }
}

/** An anchor counts for what comes after it: those behind the routes are not known in them. */
function dropAnchorsFrom(anchors: Anchors, offset: number): void {
  for (const [name, node] of anchors) if ((node.range?.[0] ?? 0) >= offset) anchors.delete(name)
}

function parsePiece(piece: Piece): Document {
  // Equal names are found by YamlReader: the parser's own search takes quadratic time.
  return parseDocument(piece.text, { version: '1.2', schema: 'core', prettyErrors: false, uniqueKeys: false, logLevel: 'silent' })
}

function syntaxFindings(document: Document, text: string): Finding[] {
  return [...document.errors, ...document.warnings].map(({ code, message, pos: [offset] }) => {
    const lineStart = text.lastIndexOf('\n', offset - 1) + 1
    const hasVariable = text.slice(lineStart, text.indexOf('\n', offset) + 1 || text.length).includes('${')
    const hint = hasVariable ? '; inside { } and [ ] a value with ${…} stands in quotes' : ''
    return { path: [], offset, message: syntaxMessage(code, message) + hint }
  })
}

function syntaxMessage(code: string, message: string): string {
  switch (code) {
    case 'MULTIPLE_DOCS': return 'the file holds more than one document: keep one, without a further \'---\''
    case 'TAB_AS_INDENT': return 'a tab can\'t indent: use spaces'
    case 'TAG_RESOLVE_FAILED': return 'unknown tag: remove it'
    default: return `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`
  }
}

function offsetsOf(find: (path: Path) => { piece: Piece; document: Document; path: Path } | null): SourceDocument['locate'] {
  return findings => findings.map(finding => {
    if (finding.offset !== undefined) return finding.offset
    const place = find(finding.path)
    if (place === null) return 0
    return place.piece.offsetOf(offsetIn(place.document, place.path, place.piece.text, finding))
  })
}

function offsetIn(document: Document, path: Path, text: string, { at, needle }: Finding): number {
  let node: unknown = document.contents
  let nameOffset = startOf(node) ?? 0
  let valueOffset = nameOffset
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document)
    let next: unknown
    let name: unknown
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && nameOf(key) === step)
      if (pair === undefined) return valueOffset
      name = pair.key
      next = pair.value
    } else if (isSeq(node) && typeof step === 'number' && step in node.items) {
      next = node.items[step]
    } else {
      return valueOffset
    }
    nameOffset = startOf(name) ?? startOf(next) ?? valueOffset
    valueOffset = startOf(next) ?? nameOffset
    node = next
  }
  if (at === 'key') return nameOffset
  if (needle === undefined) return valueOffset
  const found = text.indexOf(needle, valueOffset)
  const end = (node as Node | null)?.range?.[1] ?? valueOffset
  return found === -1 || found >= end ? valueOffset : found
}

function startOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}
