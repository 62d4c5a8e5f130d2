import { writeFileSync } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { hostPath } from './build/build-options.ts';
import type { Host } from './host.ts';

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EISDIR: 'is a directory',
  ENOENT: 'no such file or directory',
  ENOSPC: 'no space left on device',
  ENOTDIR: 'not a directory',
  EROFS: 'read-only file system',
};

/** Writes a file named on the command line. @throws {CairnError} OUTPUT_UNWRITABLE */
export function writeOutputFile(host: Pick<Host, 'cwd'>, name: string, text: string): void {
  try {
    writeFileSync(hostPath(host, name), text);
  } catch (error) {
    throw explainWriteError(name, error);
  }
}

/** What the system says about a file that cannot be written, as an error for users; other errors as they are. */
export function explainWriteError(name: string, error: unknown): unknown {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error;
  return new CairnError('OUTPUT_UNWRITABLE', {
    message: `cannot write ${name}: ${reasons[code] ?? code}`,
    cause: error,
  });
}
