// What `npm start` runs: the demo upstream, and the gateway in front of it. Ends with the gateway, with its exit code.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const path = name => fileURLToPath(new URL(name, import.meta.url))
const demo = spawn(process.execPath, [path('demo-upstream.mjs')], { stdio: 'inherit' })
const gateway = spawn(process.execPath, [path('../dist/src/main.js'), 'start', ...process.argv.slice(2)], {
  stdio: 'inherit',
  cwd: path('..'),
})
// A terminal sends Ctrl-C to all of them; the gateway drains and decides when it is over.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => gateway.kill(signal))
gateway.on('exit', (code, signal) => {
  demo.kill()
  process.exitCode = code ?? (signal === null ? 1 : 128)
})
