// A process of its own with a sandbox in it: `sandbox-program.ts KIND SPEC`, the spec as JSON, its stdio inherited. It prints the
// result's exit code as its own, and passes SIGTERM, SIGINT and SIGUSR1 on to the command.
import { openSandbox, type SandboxKind, type SandboxSpec } from '../../src/run/index.ts';

const [kind, spec] = process.argv.slice(2);
const parsed = JSON.parse(spec!) as SandboxSpec;
const sandbox = await openSandbox({ kind: kind as SandboxKind, env: process.env, scratch: parsed.scratch });
const handle = sandbox.run(parsed);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGUSR1'] as const) process.on(signal, () => handle.kill(signal));
process.exitCode = (await handle.done).exitCode;
