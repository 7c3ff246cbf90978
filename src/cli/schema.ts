import { z } from 'zod'
import { documentSchema } from '../config/schema.ts'

/** The JSON Schema of the document as written: what has a default need not be there. */
export function jsonSchema(): Record<string, unknown> {
  return { title: 'Penstock configuration', ...z.toJSONSchema(documentSchema, { io: 'input', unrepresentable: 'any' }) }
}

export function printSchema(): number {
  process.stdout.write(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
  return 0
}
