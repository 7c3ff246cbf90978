/** Steps from the root of a document to a value: names and indexes. */
export type Path = readonly (string | number)[]

/** JSON pointer of a path (RFC 6901 section 3). */
export function pointerOf(path: Path): string {
  let pointer = ''
  for (const step of path) pointer += `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`
  return pointer
}

/** The value at a path; undefined where nothing is. */
export function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

/**
 * Sets an own property whatever its name: an assignment to `__proto__` would change the object's prototype instead.
 */
export function setOwn(target: object, name: string | number, value: unknown): void {
  if (name === '__proto__') Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true })
  else (target as Record<string | number, unknown>)[name] = value
}
