import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Scalar } from 'yaml'
import { setOwn } from './pointer.ts'
import type { Finding, VariableReader } from './source-document.ts'

/** Nodes by the name of their anchor. */
export type Anchors = Map<string, Node>

/** Values that all aliases together may stand for: aliases of aliases grow without end ("billion laughs"). */
const MAX_ALIASED_VALUES = 1_000_000
/** Far more than the schema has; keeps recursion off the end of the stack. */
const MAX_DEPTH = 64

/**
 * Turns the parser's tree into plain data: variables replaced, aliases copied out. It notes equal names in a mapping,
 * names that are not text, aliases without an anchor, and what has no bound.
 */
export class YamlReader {
  readonly anchors: Anchors = new Map()
  readonly findings: Finding[] = []
  readonly #variables: VariableReader
  /** Anchored nodes that are being read: an alias to one of them would never end. */
  readonly #open = new Set<Node>()
  readonly #path: (string | number)[] = []
  #aliasDepth = 0
  #aliasedValues = 0

  constructor(variables: VariableReader) {
    this.#variables = variables
  }

  /** `path`: where the node stands in the document. */
  read(node: Node | null, path: readonly (string | number)[]): unknown {
    this.#path.length = 0
    this.#path.push(...path)
    return this.#read(node)
  }

  #read(node: unknown): unknown {
    if (this.#aliasDepth > 0 && ++this.#aliasedValues > MAX_ALIASED_VALUES) {
      if (this.#aliasedValues === MAX_ALIASED_VALUES + 1) {
        this.#note(`aliases stand for more than ${MAX_ALIASED_VALUES} values: write them out, or use fewer`)
      }
      return null
    }
    if (isAlias(node)) return this.#readAlias(node)
    if (isScalar(node)) {
      if (node.anchor !== undefined) this.anchors.set(node.anchor, node)
      return this.#readScalar(node)
    }
    if (!isMap(node) && !isSeq(node)) return null
    if (this.#path.length >= MAX_DEPTH) {
      this.#note(`nested deeper than ${MAX_DEPTH} levels`)
      return null
    }
    if (node.anchor === undefined) return isMap(node) ? this.#readMap(node.items) : this.#readList(node.items)
    this.anchors.set(node.anchor, node)
    this.#open.add(node)
    const value = isMap(node) ? this.#readMap(node.items) : this.#readList(node.items)
    this.#open.delete(node)
    return value
  }

  #readScalar(node: Scalar): unknown {
    const { value } = node
    if (typeof value !== 'string' || !value.includes('${')) return value
    return this.#variables.read(value, this.#path, node.type === 'PLAIN')
  }

  #readAlias(alias: Alias): unknown {
    const target = this.anchors.get(alias.source)
    if (target === undefined) {
      this.#note(`no anchor '&${alias.source}' stands before this alias`)
      return null
    }
    if (this.#open.has(target)) {
      this.#note(`alias '*${alias.source}' stands inside what it stands for`)
      return null
    }
    this.#aliasDepth += 1
    const value = this.#read(target)
    this.#aliasDepth -= 1
    return value
  }

  #readList(items: readonly unknown[]): unknown[] {
    return items.map((item, index) => {
      this.#path.push(index)
      const value = this.#read(item)
      this.#path.pop()
      return value
    })
  }

  #readMap(pairs: readonly { key: unknown; value?: unknown }[]): object {
    const map = {}
    for (const { key, value } of pairs) {
      const name = this.#readName(key)
      if (name === null) continue
      this.#path.push(name)
      if (Object.hasOwn(map, name)) {
        this.#note(`'${name}' stands twice in this mapping: keep one`, 'key', (key as Node).range?.[0])
      } else {
        setOwn(map, name, this.#read(value))
      }
      this.#path.pop()
    }
    return map
  }

  #readName(key: unknown): string | null {
    // An anchor at a name is legal and of no use here, but an alias may still name it.
    if (isScalar(key) && key.anchor !== undefined) this.anchors.set(key.anchor, key)
    if (isScalar(key)) return nameOf(key)
    this.#note('a name is plain text: no list, mapping or alias', 'value', (key as Node | null)?.range?.[0])
    return null
  }

  #note(message: string, at: 'key' | 'value' = 'value', offset?: number): void {
    this.findings.push({ path: [...this.#path], message, at, ...(offset !== undefined && { offset }) })
  }
}

/** A name as it is written, where it isn't text for YAML: `200: …`. */
export function nameOf(key: Scalar): string {
  return typeof key.value === 'string' ? key.value : key.source ?? String(key.value)
}
