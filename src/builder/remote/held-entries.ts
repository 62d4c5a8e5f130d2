import { closeSync, constants, fstatSync, lstatSync, openSync } from 'node:fs';
import { tryLock } from '../../sys/index.ts';

/**
 * Files and folders of the source cache that are being read. A shared lock on each keeps other processes from pruning it;
 * the kernel frees it when this one dies.
 */
export class HeldEntries {
  readonly #held = new Map<string, { readonly fd: number; count: number }>();

  /** Holds a path until `forget` or `release`. @returns false when it is absent, or being removed at this moment */
  hold(path: string): boolean {
    const known = this.#held.get(path);
    if (known !== undefined && isAt(path, known.fd)) {
      known.count += 1;
      return true;
    }
    const fd = openIfExists(path);
    if (fd === null) return false;
    // Whoever removes an entry has it locked, and it may be gone by the time of our lock.
    if (!tryLock(fd, 'shared') || !isAt(path, fd)) {
      closeSync(fd);
      return false;
    }
    if (known !== undefined) closeSync(known.fd);
    this.#held.set(path, { fd, count: (known?.count ?? 0) + 1 });
    return true;
  }

  /** Undoes one `hold`. */
  forget(path: string): void {
    const entry = this.#held.get(path);
    if (entry === undefined) return;
    entry.count -= 1;
    if (entry.count > 0) return;
    closeSync(entry.fd);
    this.#held.delete(path);
  }

  /** Lets go of everything. Idempotent. */
  release(): void {
    for (const { fd } of this.#held.values()) closeSync(fd);
    this.#held.clear();
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
