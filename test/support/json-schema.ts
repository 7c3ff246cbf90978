type Schema = {
  $ref?: string; type?: string | string[]; enum?: unknown[]; const?: unknown; pattern?: string
  properties?: Record<string, Schema>; required?: string[]; additionalProperties?: boolean | Schema; items?: Schema
}

/** What a value has against a schema, with places; `root` holds the components that references name. */
export function mismatches(schema: Schema, value: unknown, root: object, place = ''): string[] {
  if (schema.$ref !== undefined) {
    const target = schema.$ref.split('/').slice(1).reduce((at: unknown, name) => (at as Record<string, unknown> | undefined)?.[name], root)
    return target === undefined ? [`${place}: ${schema.$ref} leads nowhere`] : mismatches(target as Schema, value, root, place)
  }
  const found: string[] = []
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  const types = [schema.type ?? []].flat()
  if (types.length > 0 && !types.includes(type) && !(types.includes('integer') && Number.isInteger(value))) found.push(`${place}: is ${type}, not ${types.join(' or ')}`)
  if (schema.enum !== undefined && !schema.enum.includes(value)) found.push(`${place}: '${String(value)}' is none of ${schema.enum.join(', ')}`)
  if (schema.const !== undefined && schema.const !== value) found.push(`${place}: is not ${String(schema.const)}`)
  if (schema.pattern !== undefined && typeof value === 'string' && !new RegExp(schema.pattern, 'u').test(value)) found.push(`${place}: does not match ${schema.pattern}`)
  if (Array.isArray(value)) value.forEach((item, index) => found.push(...mismatches(schema.items ?? {}, item, root, `${place}/${index}`)))
  else if (type === 'object') {
    const members = value as Record<string, unknown>
    for (const name of schema.required ?? []) if (!Object.hasOwn(members, name)) found.push(`${place}/${name}: is missing`)
    for (const [name, member] of Object.entries(members)) {
      const known = schema.properties?.[name] ?? schema.additionalProperties ?? true
      if (known === false) found.push(`${place}/${name}: is not described`)
      else if (known !== true) found.push(...mismatches(known, member, root, `${place}/${name}`))
    }
  }
  return found
}
