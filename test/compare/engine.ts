import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { type BaseImage, baseDiffId, baseImages, baseTar } from './base-images.ts';
import type { Fixture } from './fixture.ts';

/** A builder with Docker's command line: Cairn itself, or a docker whose daemon runs. */
export interface Engine {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Words for `build` that only this engine gets. */
  readonly buildArgs: readonly string[];
}

/** `cairn` on the store at `root`: the checkout's own, or the program that $CAIRN_PROGRAM names (an installed package). */
export function cairnEngine(root: string, command: readonly string[] = defaultCairn): Engine {
  return { name: 'cairn', command, env: { CAIRN_ROOT: root, CAIRN_OFFLINE: '1' }, buildArgs: [] };
}

const defaultCairn = [
  process.execPath,
  process.env.CAIRN_PROGRAM ?? resolve(import.meta.dirname, '../../bin/cairn.js'),
];

/**
 * A docker whose daemon answers: `command` when given, else $CAIRN_DOCKER, else the one that scripts/peers-up.sh started, else
 * the machine's own.
 * @returns undefined when none answers
 */
export function dockerEngine(command?: string): Engine | undefined {
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const peers = join(process.env.CAIRN_PEERS ?? join(cache, 'cairn-peers'), 'bin/docker');
  const given = command ?? process.env.CAIRN_DOCKER;
  const candidates = given !== undefined && given !== '' ? [given.split(' ')] : [[peers], ['docker']];
  for (const words of candidates) {
    const engine: Engine = {
      name: 'docker',
      command: words,
      env: { DOCKER_BUILDKIT: '1', BUILDX_NO_DEFAULT_ATTESTATIONS: '1' },
      // Cairn's RUN uses the host's network by default; a bridge would show in /etc/hosts.
      buildArgs: ['--network', 'host', '--progress', 'plain'],
    };
    if (call(engine, ['version', '--format', '{{.Server.Version}}']).status === 0) return engine;
  }
  return undefined;
}

/** Result of one command of an engine. */
export interface Called {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CallOptions {
  readonly cwd?: string;
  /** An open file for standard input; empty when absent. */
  readonly input?: number;
}

/** Runs one command of an engine to its end. */
export function call(engine: Engine, words: readonly string[], options: CallOptions = {}): Called {
  const run = spawnSync(engine.command[0]!, [...engine.command.slice(1), ...words], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: [options.input ?? 'ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...engine.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  return { status: run.status, stdout: run.stdout ?? '', stderr: run.stderr ?? String(run.error) };
}

/** As `call`. @throws {Error} with the last lines of what it printed when the command fails */
export function mustCall(engine: Engine, words: readonly string[], options: CallOptions = {}): string {
  const result = call(engine, words, options);
  if (result.status === 0) return result.stdout;
  const tail = `${result.stdout}\n${result.stderr}`.trim().split('\n').slice(-25).join('\n');
  throw new Error(`${engine.name} ${words.join(' ')} failed (${result.status}):\n${tail}`);
}

/** The base images whose names occur in the Dockerfiles at the top of `folder` and one level below. */
export function basesUsed(folder: string): BaseImage[] {
  const files = readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return readdirSync(path).map((name) => join(path, name));
    return [path];
  });
  const texts = files
    .filter((path) => /dockerfile$|\/Dockerfile[^/]*$/i.test(path))
    .map((path) => readFileSync(path, 'utf8'));
  return baseImages.filter((base) => texts.some((text) => base.usedIn.test(text)));
}

/** Makes sure that the engine has exactly our base images under their names, so that both sides start equal. */
export function importBases(engine: Engine, bases: readonly BaseImage[]): void {
  for (const base of bases) {
    const inspect = call(engine, ['image', 'inspect', '--format', '{{json .RootFS.Layers}}', base.reference]);
    if (inspect.status === 0 && inspect.stdout.trim() === JSON.stringify([baseDiffId(base)])) continue;
    // By standard input: the engine may run as a user who cannot read our cache.
    const input = openSync(baseTar(base), 'r');
    try {
      mustCall(engine, ['import', '--change', base.change, '--message', base.file, '-', base.reference], {
        input,
      });
    } finally {
      closeSync(input);
    }
  }
}

/** Builds a staged fixture and saves the image as an archive at `target`. */
export function buildAndSave(
  engine: Engine,
  fixture: Fixture,
  options: { readonly context: string; readonly target: string; readonly args?: readonly string[] },
): void {
  const tag = `cairn-compare-${fixture.name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}:latest`;
  const words = ['build', '-t', tag, ...engine.buildArgs, ...fixture.args, ...(options.args ?? []), '.'];
  mustCall(engine, words, { cwd: options.context });
  mustCall(engine, ['save', '-o', options.target, tag]);
  if (!existsSync(options.target)) throw new Error(`${engine.name} save wrote no ${options.target}`);
  mustCall(engine, ['rmi', tag]);
}
