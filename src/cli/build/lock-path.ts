import { join } from 'node:path';
import { UsageError } from '../command.ts';
import type { Host } from '../host.ts';
import { hostPath } from './build-options.ts';

/** What the command line says about where a lock file is. */
export interface LockPlace {
  /** `--lock-file`. */
  readonly lockFile: string | undefined;
  /** `--file`: the Dockerfile. */
  readonly file: string | undefined;
  /** PATH of the build context. */
  readonly context: string;
}

/** The lock file: as named, else `Dockerfile.lock` beside the Dockerfile. @throws {UsageError} for a Dockerfile that is no file here */
export function lockPathOf(host: Pick<Host, 'cwd'>, { lockFile, file, context }: LockPlace): string {
  if (lockFile) return hostPath(host, lockFile);
  const isLocal =
    file === undefined ? context !== '-' && !/^[\w+.-]+:\/\/|^git@/.test(context) : file !== '-';
  if (!isLocal)
    throw new UsageError('--lock needs a Dockerfile on this machine: name the lock file with --lock-file');
  return `${hostPath(host, file ?? join(context, 'Dockerfile'))}.lock`;
}
