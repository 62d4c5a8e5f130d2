import * as fs from 'node:fs';
import { join } from 'node:path';
import { tryLock } from '../sys/index.ts';
import { listReadable } from './durable-file.ts';
import { isSystemError } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import { treeBytes } from './tree-bytes.ts';

/** Something that builds fetched from elsewhere: a folder of cache/sources, as `system df` and `builder prune` see it. */
export interface FetchedSourceEntry {
  /** Name of the folder: its kind (`http`, `checkout`, `repository`) and a key. */
  readonly name: string;
  /** Allocated bytes. */
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  /** A build uses it at this moment. */
  readonly inUse: boolean;
}

/**
 * All fetched sources. Whoever uses one holds a lock of its folder (shared to read, exclusive to change), which the kernel frees with
 * the process; the folder's time says when that was last.
 */
export function listFetchedSources(paths: StorePaths): readonly FetchedSourceEntry[] {
  return listReadable(paths.sources).flatMap((name) => {
    const folder = join(paths.sources, name);
    const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
    if (!stat?.isDirectory()) return [];
    const { birthtimeMs: createdMs, mtimeMs: lastUsedMs } = stat;
    return {
      name,
      sizeBytes: treeBytes(folder),
      createdMs,
      lastUsedMs,
      inUse: !withFree(folder, () => undefined),
    };
  });
}

/** Moves a source to `trash` unless it is in use. @returns whether it went */
export function removeFetchedSource(paths: StorePaths, { name }: FetchedSourceEntry, trash: string): boolean {
  const folder = join(paths.sources, name);
  return withFree(folder, () => fs.renameSync(folder, join(trash, `source-${name}`)));
}

/** Runs `work` if nobody uses the folder. @returns whether it ran */
function withFree(folder: string, work: () => void): boolean {
  let fd: number;
  try {
    fd = fs.openSync(folder, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) return false;
    throw error;
  }
  try {
    if (!tryLock(fd, 'exclusive')) return false;
    work();
    return true;
  } finally {
    fs.closeSync(fd);
  }
}
