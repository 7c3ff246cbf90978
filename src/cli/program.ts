import { Command, type CommanderError, InvalidArgumentError } from 'commander'
import { ConfigError } from '../config/config-error.ts'
import type { AdminOptions } from './admin-client.ts'
import { addKeysCommand, withAdmin } from './keys.ts'

const BAD_USAGE = 2

/** The command; each part of it is loaded when it is asked for. Exit code 0; 1 a failure; 2 bad usage or bad configuration. */
export function createProgram(): Command {
  const program = new Command('penstock')
    .description('A self-hosted API gateway.')
    .showSuggestionAfterError()
    .exitOverride(cause => leave(cause))
  program.command('start')
    .description('Runs the gateway until SIGTERM; SIGHUP reloads.')
    .option('--config <file>', 'the configuration document', 'config/penstock.yaml')
    .option('--watch', 'reloads when the document or a file that it names changes', false)
    .action((options: { config: string; watch: boolean }) => guarded(async () => {
      const { startGateway } = await import('../control/start.ts')
      return startGateway({ configFile: options.config, watch: options.watch })
    }))
  program.command('check')
    .description('Tells all errors of a document, or what it would serve.')
    .argument('<file>')
    .action((file: string) => guarded(async () => (await import('./check.ts')).check(file)))
  program.command('routes')
    .description('Prints the table of routes.')
    .argument('<file>')
    .option('--json', 'as JSON', false)
    .action((file: string, options: { json: boolean }) => guarded(async () => (await import('./routes.ts')).listRoutes(file, options.json)))
  program.command('schema')
    .description('Prints the JSON Schema of the document.')
    .action(() => guarded(async () => (await import('./schema.ts')).printSchema()))
  addKeysCommand(program, guarded)
  withAdmin(program.command('status'))
    .description('Tells how a running gateway is: version, workers, endpoints; through the admin API.')
    .option('--json', 'as JSON', false)
    .action((options: AdminOptions & { json: boolean }) => guarded(async () => (await import('./status.ts')).showStatus(options)))
  program.command('docs', { hidden: true })
    .description('Brings the generated parts of a page up to date, or checks that they are.')
    .argument('<file>')
    .option('--check', 'changes nothing; 1 when the page is behind', false)
    .action((file: string, options: { check: boolean }) => guarded(async () => (await import('./docs.ts')).updateDocs(file, options.check)))
  return program
}

async function guarded(run: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run()
  } catch (cause) {
    if (cause instanceof ConfigError) {
      process.stderr.write(`${cause.message}\n`)
      process.exitCode = BAD_USAGE
    } else {
      process.stderr.write(`penstock: ${cause instanceof Error ? cause.message : String(cause)}\n`)
      process.exitCode = cause instanceof InvalidArgumentError ? BAD_USAGE : 1
    }
  }
}

function leave(cause: CommanderError): never {
  process.exit(cause.exitCode === 0 ? 0 : BAD_USAGE)
}
