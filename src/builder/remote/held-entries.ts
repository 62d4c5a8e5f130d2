import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { tryLock } from '../../sys/index.ts';

/**
 * Files and folders of the source cache that are being read. A shared lock on each keeps other processes from pruning it;
 * the kernel frees it when this one dies.
 */
export class HeldEntries {
  readonly #fds = new Map<string, number>();

  /** Holds a path until `release`. @returns false when it is absent, or being removed at this moment */
  hold(path: string): boolean {
    if (this.#fds.has(path)) return true;
    const fd = openIfExists(path);
    if (fd === null) return false;
    // Whoever removes an entry has it locked, and it may be gone by the time of our lock.
    if (tryLock(fd, 'shared') && isAt(path, fd)) {
      this.#fds.set(path, fd);
      return true;
    }
    closeSync(fd);
    return false;
  }

  /** Lets go of one path. */
  forget(path: string): void {
    const fd = this.#fds.get(path);
    if (fd !== undefined) closeSync(fd);
    this.#fds.delete(path);
  }

  /** Lets go of everything. Idempotent. */
  release(): void {
    for (const fd of this.#fds.values()) closeSync(fd);
    this.#fds.clear();
  }
}

/** Runs `remove` if nobody holds the path. @returns whether it ran */
export function removeUnheld(path: string, remove: () => void): boolean {
  const fd = openIfExists(path);
  if (fd === null) return false;
  try {
    if (!tryLock(fd, 'exclusive') || !isAt(path, fd)) return false;
    remove();
    return true;
  } finally {
    closeSync(fd);
  }
}

function openIfExists(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

function isAt(path: string, fd: number): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  const held = fstatSync(fd, { bigint: true });
  return now?.ino === held.ino && now.dev === held.dev;
}
