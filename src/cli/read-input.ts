import { createReadStream } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { hostPath } from './build/build-options.ts';
import type { Host } from './host.ts';

/** Bytes of a file named on the command line, in large chunks. @throws {CairnError} INPUT_UNREADABLE while reading */
export async function* readInputFile(host: Host, name: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(hostPath(host, name), { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>;
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw error;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'no such file or directory',
      EISDIR: 'is a directory',
      EACCES: 'permission denied',
    };
    throw new CairnError('INPUT_UNREADABLE', {
      message: `open ${name}: ${reasons[code] ?? code}`,
      cause: error,
    });
  }
}
