import { readFileSync } from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { UsageError } from '../command.ts';
import type { Host } from '../host.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface ContainerEnvInputs {
  /** `NAME=value` of the image. */
  readonly image: readonly string[];
  /** `NAME=value` or `NAME` from files and `-e`, in order. */
  readonly user: readonly string[];
  readonly hostname: string;
  readonly terminal: boolean;
  readonly home: string;
  readonly host: Host['env'];
}

/**
 * The variables of a container, in Docker's order: PATH, HOSTNAME and TERM, the user's, the image's, HOME. A user's
 * NAME without a value comes from the host; where that has none, the variable goes.
 */
export function containerEnv(inputs: ContainerEnvInputs): readonly string[] {
  const env = new Map<string, string>([
    ['PATH', defaultPath],
    ['HOSTNAME', inputs.hostname],
    ...(inputs.terminal ? [['TERM', 'xterm'] as const] : []),
  ]);
  const removed = new Set<string>();
  for (const entry of inputs.user) {
    const [name, value = inputs.host[name]] = splitEntry(entry);
    removed.delete(name);
    if (value === undefined) {
      env.delete(name);
      removed.add(name);
    } else env.set(name, value);
  }
  const fromUser = new Set(inputs.user.map((entry) => splitEntry(entry)[0]));
  for (const entry of inputs.image) {
    const [name, value = ''] = splitEntry(entry);
    if (!fromUser.has(name)) env.set(name, value);
  }
  if (!env.has('HOME') && !removed.has('HOME')) env.set('HOME', inputs.home);
  return [...env].map(([name, value]) => `${name}=${value}`);
}

function splitEntry(entry: string): readonly [name: string, value: string | undefined] {
  const equals = entry.indexOf('=');
  return equals < 0 ? [entry, undefined] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** @throws {UsageError} for an entry without a name */
export function checkEnvEntry(entry: string): string {
  if (entry === '' || entry.startsWith('=')) throw new UsageError(`invalid environment variable: "${entry}"`);
  return entry;
}

/**
 * Reads an `--env-file`: one `NAME=value` or `NAME` a line, taken literally; empty lines and lines that begin with `#` say nothing.
 * @throws {CairnError} ENV_FILE_INVALID
 */
export function readEnvFile(path: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw invalid(`open ${path}: ${reason(error)}`, error);
  }
  const entries: string[] = [];
  for (const [index, raw] of text
    .replace(/^\ufeff/, '')
    .split('\n')
    .entries()) {
    const line = raw.replace(/\r$/, '').trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const [name] = splitEntry(line);
    if (name === '') throw invalid(`${path}:${index + 1}: no variable name on line '${line}'`);
    if (/\s/.test(name)) throw invalid(`${path}:${index + 1}: variable '${name}' contains whitespaces`);
    entries.push(line);
  }
  return entries;
}

function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT'
    ? 'no such file or directory'
    : code === 'EISDIR'
      ? 'is a directory'
      : String(code ?? error);
}

function invalid(message: string, cause?: unknown): CairnError {
  return new CairnError('ENV_FILE_INVALID', { message, ...(cause === undefined ? {} : { cause }) });
}
