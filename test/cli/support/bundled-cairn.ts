import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll } from 'vitest';

const repository = fileURLToPath(new URL('../../../', import.meta.url));

/** A finished process. */
export interface Finished {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface SpawnOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Arguments of node itself. */
  readonly node?: readonly string[];
  readonly stdin?: 'pipe' | 'ignore';
}

export interface BundledCairn {
  /** Folder for files of the tests, removed after the last. */
  readonly folder: () => string;
  readonly start: (argv: readonly string[], options?: SpawnOptions) => ChildProcess;
  readonly run: (argv: readonly string[], options?: SpawnOptions) => Promise<Finished>;
}

/** Bundles src/ as scripts/build.mjs does, apart from dist/, for tests of whole processes in the calling file. */
export function bundledCairn(): BundledCairn {
  let folder = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'cairn-bundle-'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'));
    mkdirSync(join(folder, 'dist'));
    await build({
      absWorkingDir: repository,
      entryPoints: {
        cli: 'src/cli/main.ts',
        index: 'src/index.ts',
        'worker-compress-block': 'src/sys/workers/compress-block.ts',
      },
      outdir: join(folder, 'dist'),
      bundle: true,
      splitting: true,
      format: 'esm',
      platform: 'node',
      target: 'node20.19',
      packages: 'external',
      logLevel: 'error',
    });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const start = (
    argv: readonly string[],
    { env = {}, node = [], stdin = 'ignore' }: SpawnOptions = {},
  ): ChildProcess =>
    spawn(process.execPath, [...node, join(folder, 'dist/cli.js'), ...argv], {
      env: { PATH: process.env.PATH, CAIRN_ROOT: join(folder, 'store'), CAIRN_OFFLINE: '1', ...env },
      stdio: [stdin, 'pipe', 'pipe'],
    });
  return { folder: () => folder, start, run: (argv, options) => finish(start(argv, options)) };
}

/** Waits for a process and collects its output. */
export function finish(child: ChildProcess): Promise<Finished> {
  const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  child.stdout?.on('data', (chunk: Buffer) => chunks.stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => chunks.stderr.push(chunk));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) =>
      resolve({
        code,
        signal,
        stdout: Buffer.concat(chunks.stdout).toString('utf8'),
        stderr: Buffer.concat(chunks.stderr).toString('utf8'),
      }),
    );
  });
}
