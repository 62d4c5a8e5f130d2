import { dispatch, parseGlobal } from '../../../src/cli/dispatch.ts';
import { TemplateFailure } from '../../../src/cli/format/index.ts';
import type { Host } from '../../../src/cli/host.ts';
import { printError } from '../../../src/cli/print-error.ts';
import { CairnError } from '../../../src/errors/index.ts';

/** What a command did. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface TestHostOptions {
  readonly root: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  /** Which streams are terminals. */
  readonly terminals?: readonly ('stdin' | 'stdout' | 'stderr')[];
  readonly cwd?: string;
  readonly signal?: AbortSignal;
}

/** 2026-11-24T16:00:00Z. */
const testNow = Date.UTC(2026, 10, 24, 16);

/** A host whose streams are kept in memory and whose clock stands still. */
export function testHost(
  options: TestHostOptions,
): Host & { readonly written: { stdout: Buffer[]; stderr: Buffer[] } } {
  const written = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const terminals = options.terminals ?? [];
  const output = (name: 'stdout' | 'stderr'): Host['stdout'] => ({
    isTty: terminals.includes(name),
    fd: name === 'stdout' ? 1 : 2,
    columns: 80,
    write: (data) => void written[name].push(Buffer.from(data)),
    stream: () => {
      throw new Error(`the test has no ${name} stream`);
    },
  });
  return {
    written,
    // Tests of images that are not there ask no registry.
    env: { CAIRN_OFFLINE: '1', ...options.env },
    cwd: options.cwd ?? options.root,
    stdin: { isTty: terminals.includes('stdin'), fd: 0, chunks: () => once(options.stdin ?? '') },
    stdout: output('stdout'),
    stderr: output('stderr'),
    now: () => testNow,
    signal: options.signal ?? new AbortController().signal,
    takeSignals: () => () => {},
    enterNamespace: null,
    root: options.root,
    debug: false,
  };
}

async function* once(data: string | Uint8Array): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(data);
  if (bytes.length > 0) yield bytes;
}

/** Runs `cairn …` in this process, as main.ts does. */
export async function cairn(options: TestHostOptions, ...argv: readonly string[]): Promise<Outcome> {
  const host = testHost(options);
  const text = (name: 'stdout' | 'stderr'): string => Buffer.concat(host.written[name]).toString('utf8');
  let code: number;
  try {
    code = await dispatch(parseGlobal(argv), host);
  } catch (error) {
    if (error instanceof TemplateFailure) {
      host.stderr.write(`${error.message}\n`);
      code = error.exitCode;
    } else if (error instanceof CairnError) {
      printError(host, error);
      code = error.exitCode;
    } else throw error;
  }
  return { code, stdout: text('stdout'), stderr: text('stderr') };
}
