import { type Command, InvalidArgumentError } from 'commander'
import { AdminClient, type AdminOptions, AdminRefusal } from './admin-client.ts'
import { textTable } from './text-table.ts'

type Key = {
  id: string; consumer: string; plan: string | null; prefix: string; lastFour: string; state: string
  createdAt: string; expiresAt: string | null; revokedAt: string | null
}
type Consumer = { id: string; plan: string | null }
type Keys = { items: Key[]; next: string | null }
type CreateOptions = AdminOptions & { consumer: string; plan?: string; expires?: string; json: boolean }
type ListOptions = AdminOptions & { consumer?: string; json: boolean }

/** `penstock keys …`. `guarded` runs a call and turns what it throws into an exit code. */
export function addKeysCommand(program: Command, guarded: (run: () => Promise<number>) => Promise<void>): void {
  const keys = program.command('keys').description('Makes, lists and revokes keys, through the admin API.')
  withAdmin(keys.command('create'))
    .description('Makes a key; a consumer that is not known is made too. The key is shown this once, alone on standard output.')
    .requiredOption('--consumer <id>', 'whose key', parseName)
    .option('--plan <name>', 'plan of a new consumer, or of this key alone', parseName)
    .option('--expires <time>', 'when it ends, for example 2030-01-31T00:00:00Z', parseTime)
    .option('--json', 'as JSON', false)
    .action((options: CreateOptions) => guarded(() => createKey(options)))
  withAdmin(keys.command('list'))
    .description('Lists keys, without what could be used of them.')
    .option('--consumer <id>', 'only those of one consumer', parseName)
    .option('--json', 'as JSON', false)
    .action((options: ListOptions) => guarded(() => listKeys(options)))
  withAdmin(keys.command('revoke'))
    .description('Revokes a key: from then on no worker takes it.')
    .argument('<id>', 'of the key, as list shows it')
    .action((id: string, options: AdminOptions) => guarded(() => revokeKey(id, options)))
}

/** How every command finds the admin API. */
export function withAdmin(command: Command): Command {
  return command
    .option('--address <host:port>', 'of the admin API; else PENSTOCK_ADMIN, else 127.0.0.1:9000')
    .option('--token <token>', 'better in PENSTOCK_ADMIN_TOKEN: every user of the machine sees the arguments of a process')
}

async function createKey({ consumer, plan, expires, json, ...options }: CreateOptions): Promise<number> {
  const client = new AdminClient(options, process.env)
  const path = `/admin/consumers/${encodeURIComponent(consumer)}`
  const known = await client.ask<Consumer>('GET', path).catch((cause: unknown) => {
    if (cause instanceof AdminRefusal && cause.code === 'ADMIN_UNKNOWN_CONSUMER') return null
    throw cause
  })
  const isNew = known === null
  const owner = known ?? await client.ask<Consumer>('POST', '/admin/consumers', { id: consumer, plan: plan ?? null })
  const created = await client.ask<Key & { key: string }>('POST', `${path}/keys`, {
    // A key that has the plan of its consumer follows it when that changes.
    plan: plan === undefined || plan === owner.plan ? null : plan,
    expiresAt: expires ?? null,
  })
  if (json) process.stdout.write(`${JSON.stringify(created, null, 2)}\n`)
  else process.stdout.write(`${created.key}\n`)
  const notes = [
    ...(isNew ? [`consumer ${consumer} is new, ${plan === undefined ? 'without a plan' : `with plan ${plan}`}`] : []),
    `key ${created.id} of ${consumer}${created.expiresAt === null ? '' : `, until ${created.expiresAt}`}; it is not shown again`,
  ]
  process.stderr.write(`${notes.join('\n')}\n`)
  return 0
}

async function listKeys({ consumer, json, ...options }: ListOptions): Promise<number> {
  const client = new AdminClient(options, process.env)
  const keys: Key[] = []
  let after: string | null = null
  do {
    const path: string = consumer !== undefined ? `/admin/consumers/${encodeURIComponent(consumer)}/keys`
      : `/admin/keys?limit=1000${after === null ? '' : `&after=${encodeURIComponent(after)}`}`
    const page: Keys = await client.ask('GET', path)
    keys.push(...page.items)
    after = page.next
  } while (after !== null)
  process.stdout.write(json ? `${JSON.stringify(keys, null, 2)}\n` : textTable(
    ['ID', 'CONSUMER', 'PLAN', 'KEY', 'STATE', 'CREATED', 'EXPIRES'],
    keys.map(key => [key.id, key.consumer, key.plan ?? '-', `${key.prefix}…${key.lastFour}`, key.state, key.createdAt, key.expiresAt ?? '-']),
  ))
  return 0
}

async function revokeKey(id: string, options: AdminOptions): Promise<number> {
  checkKeyId(id)
  const { consumer } = await new AdminClient(options, process.env).ask<Key>('DELETE', `/admin/keys/${encodeURIComponent(id)}`)
  process.stdout.write(`key ${id} of ${consumer} is revoked\n`)
  return 0
}

function parseName(text: string): string {
  if (!/^[\w.:@-]{1,128}$/.test(text)) throw new InvalidArgumentError('it may hold letters, digits and _ . : @ -, at most 128.')
  return text
}

/** Not in the parser of the argument, which would print it: somebody who has the key itself tries it here. */
function checkKeyId(text: string): void {
  if (text.startsWith('pk_')) throw new InvalidArgumentError('this is a key, not the id of one: penstock keys list shows the ids')
  if (!/^[\w-]{1,64}$/.test(text)) throw new InvalidArgumentError('it is not the id of a key: penstock keys list shows the ids')
}

function parseTime(text: string): string {
  const isTime = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text) && !Number.isNaN(Date.parse(text))
  if (!isTime) throw new InvalidArgumentError('write a time as ISO 8601 has it, with its zone: 2030-01-31T00:00:00Z.')
  return new Date(text).toISOString()
}
