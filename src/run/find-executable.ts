import type { Stats } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type ByteString, toBytes } from '../sys/index.ts';
import type { SandboxUser } from './contracts.ts';
import { formatProblem } from './exec-format.ts';
import { resolveInRoot } from './path-in-root.ts';

/** Why a command cannot be started, with the exit code that Docker gives it. */
export interface StartFailure {
  readonly exitCode: 126 | 127;
  readonly message: string;
}

export interface ExecutableQuery {
  /** The mounted root file system. */
  readonly root: string;
  readonly name: string;
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: SandboxUser;
}

// What execvp uses when there is no PATH is not portable; this is the default that images get (dockerfile reference V19).
const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Finds the program of a command inside a root file system as OCI runtimes do: a name with a slash as it is (relative to
 * `cwd`), any other one in the PATH of `env`, where what cannot be executed is passed over.
 * @returns the absolute path inside the root as execve should get it, or why there is none, in Docker's words.
 */
export function findExecutable(query: ExecutableQuery): { readonly path: string } | StartFailure {
  const { name } = query;
  if (name.includes('/')) {
    const path = absolute(query.cwd, name);
    const failure = examine(query, path);
    if (failure === null) return checkFormat(query, path);
    return { exitCode: failure.exitCode, message: `exec: "${name}": ${failure.message}` };
  }
  for (const folder of searchPath(query.env)) {
    const path = absolute(query.cwd, `${folder === '' ? '.' : folder}/${name}`);
    if (name !== '' && examine(query, path) === null) return checkFormat(query, path);
  }
  return { exitCode: 127, message: `exec: "${name}": executable file not found in $PATH` };
}

function checkFormat({ root }: ExecutableQuery, path: string): { readonly path: string } | StartFailure {
  return formatProblem(root, resolveInRoot(root, toBytes(path)).path, path) ?? { path };
}

function searchPath(env: readonly string[]): readonly string[] {
  const entry = env.findLast((line) => line.startsWith('PATH='));
  return (entry === undefined ? defaultPath : entry.slice('PATH='.length)).split(':');
}

function absolute(cwd: string, path: string): string {
  return path.startsWith('/') ? path : `${cwd === '/' ? '' : cwd}/${path}`;
}

function examine(query: ExecutableQuery, path: string): StartFailure | null {
  const stats = statInRoot(query.root, toBytes(path));
  if (stats === undefined) return { exitCode: 127, message: `stat ${path}: no such file or directory` };
  if (stats === 'not-a-directory') return { exitCode: 126, message: `stat ${path}: not a directory` };
  if (stats === 'loop') return { exitCode: 126, message: `stat ${path}: too many levels of symbolic links` };
  if (stats.isDirectory()) return { exitCode: 126, message: 'is a directory' };
  return mayExecute(stats, query.user) ? null : { exitCode: 126, message: 'permission denied' };
}

function statInRoot(root: string, path: ByteString): Stats | undefined | 'not-a-directory' | 'loop' {
  try {
    return resolveInRoot(root, path).stats;
  } catch (error) {
    if (error instanceof CairnError && error.code === 'NOT_A_DIRECTORY') return 'not-a-directory';
    if (error instanceof CairnError && error.code === 'LINK_LOOP') return 'loop';
    throw error;
  }
}

function mayExecute(stats: Stats, user: SandboxUser): boolean {
  if (user.uid === 0) return (stats.mode & 0o111) !== 0;
  if (stats.uid === user.uid) return (stats.mode & 0o100) !== 0;
  const inGroup = stats.gid === user.gid || user.additionalGids.includes(stats.gid);
  return (stats.mode & (inGroup ? 0o010 : 0o001)) !== 0;
}
