/** A text with its variables replaced, or what is wrong with them. */
export type Substitution = {
  readonly text: string
  /** The text is one variable and nothing else. */
  readonly isWhole: boolean
  readonly problems: readonly { readonly message: string; readonly needle: string }[]
}

// In this order: an escape, a variable with or without a default, and what looks like one but is none.
const VARIABLE = /\$\$\{|\$\{([A-Za-z_]\w*)(?::-((?:(?!\$\{)[^}])*))?\}|\$\{[^}\s]{0,40}\}?/g
const IS_WHOLE = /^\$\{[A-Za-z_]\w*(?::-(?:(?!\$\{)[^}])*)?\}$/

/**
 * Replaces `${NAME}` and `${NAME:-default}` by environment variables. As in a shell, the default also stands in for an
 * empty variable; without one, empty is a value. `$${` is a literal `${`. A value is never looked into for further
 * variables, so what stands in the environment can't reach another variable.
 */
export function substitute(text: string, environment: NodeJS.ProcessEnv): Substitution {
  const problems: { message: string; needle: string }[] = []
  const replaced = text.replace(VARIABLE, (found: string, name: string | undefined, fallback: string | undefined) => {
    if (found === '$${') return '${'
    if (name === undefined) {
      problems.push({ message: `'${found}' is not a variable: write \${NAME} or \${NAME:-default}, or $\${ for a literal \${`, needle: found })
      return ''
    }
    // Own properties only: a plain object has a `constructor` too.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined
    if (fallback !== undefined && (value === undefined || value === '')) return fallback
    if (value === undefined) {
      problems.push({ message: `environment variable '${name}' is not set: set it, or write \${${name}:-default}`, needle: found })
    }
    return value ?? ''
  })
  return { text: replaced, isWhole: IS_WHOLE.test(text), problems }
}

/** What a plain scalar of YAML's core schema (1.2.2 section 10.3.2) stands for; text where it is nothing else. */
export function readScalar(text: string): string | number | boolean | null {
  if (/^(?:true|True|TRUE)$/.test(text)) return true
  if (/^(?:false|False|FALSE)$/.test(text)) return false
  if (/^(?:~|null|Null|NULL|)$/.test(text)) return null
  if (/^[-+]?(?:\.\d+|\d+(?:\.\d*)?)(?:[eE][-+]?\d+)?$/.test(text)) return Number(text)
  return text
}
