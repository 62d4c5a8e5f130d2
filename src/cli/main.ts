import { CairnError } from '../errors/index.ts';
import { dispatch, type GlobalArguments, parseGlobal, usageExit } from './dispatch.ts';
import { FlagError } from './flags/index.ts';
import { TemplateFailure } from './format/template-failure.ts';
import type { Host } from './host.ts';
import { printError } from './print-error.ts';
import { processHost } from './process-host.ts';

// The entry of the command line: the only file that touches `process` beside process-host.ts.

const signalExit: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

async function main(): Promise<number> {
  let global: GlobalArguments;
  try {
    global = parseGlobal(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    process.stderr.write(`${error.message}\n\nSee 'cairn --help'.\n`);
    return usageExit;
  }
  const host = processHost(global);
  try {
    return await dispatch(global, host);
  } catch (error) {
    if (host.signal.aborted) {
      process.stderr.write(`cairn: stopped by ${String(host.signal.reason)}\n`);
      return signalExit[String(host.signal.reason)] ?? 1;
    }
    return report(error, host);
  }
}

function report(error: unknown, host: Host): number {
  if (error instanceof TemplateFailure) {
    process.stderr.write(`${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof CairnError) {
    printError(host, error);
    if (host.debug && error.cause !== undefined)
      process.stderr.write(`caused by: ${describe(error.cause)}\n`);
    return error.exitCode;
  }
  process.stderr.write(`cairn: internal error: ${host.debug ? describe(error) : messageOf(error)}\n`);
  if (!host.debug)
    process.stderr.write('help: run the same command as "cairn --debug …" and report what it prints\n');
  return 1;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

void main().then((exitCode) => {
  // Errors of stdout and stderr (a full disk) are told a moment after the write.
  setImmediate(() => process.exit(exitCode));
});
