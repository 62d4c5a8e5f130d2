import * as fs from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../sys/index.ts';
import { isSystemError } from './store-error.ts';

/** Writes all of `chunk` at the file position; a short write is continued. */
export function writeFully(fd: number, chunk: Uint8Array): void {
  let done = 0;
  while (done < chunk.length) done += fs.writeSync(fd, chunk, done, chunk.length - done);
}

export interface ReplaceOptions {
  /** A path in the same file system that nobody else uses. */
  readonly temporary: string;
  /** Mode of the file. */
  readonly mode: number;
  /** False for data that may be lost in a power cut (caches): readers then check what they find. Default true. */
  readonly durable?: boolean;
}

/**
 * Replaces `path` as a whole: a reader sees the old or the new content, never a part; on return the new one
 * survives a power cut (unless `durable` is false).
 */
export function replaceFile(path: string, content: Uint8Array | string, options: ReplaceOptions): void {
  const { temporary, mode, durable = true } = options;
  try {
    const fd = fs.openSync(temporary, 'wx', 0o600);
    try {
      writeFully(fd, typeof content === 'string' ? Buffer.from(content) : content);
      fs.fchmodSync(fd, mode);
      if (durable) fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, path);
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  if (durable) syncFolder(dirname(path));
}

/** The content, or null when the file does not exist. */
export function readIfExists(path: string): Buffer | null {
  try {
    return fs.readFileSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/** The names in a folder in byte order; none when it does not exist. */
export function listIfExists(folder: string): readonly string[] {
  try {
    return fs.readdirSync(folder).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** As `listIfExists`, and none where this user may not look: for sums and lists that are better partial than failing. */
export function listReadable(folder: string): readonly string[] {
  try {
    return listIfExists(folder);
  } catch (error) {
    if (isSystemError(error, 'EACCES')) return [];
    throw error;
  }
}

/** The size of a regular file in bytes, or null when there is none. */
export function fileSize(path: string): number | null {
  const stat = fs.lstatSync(path, { throwIfNoEntry: false });
  return stat?.isFile() ? stat.size : null;
}
