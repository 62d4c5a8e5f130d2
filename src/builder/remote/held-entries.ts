import { closeSync, constants, fstatSync, lstatSync, mkdirSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
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
    if (!takeShared(fd) || !isAt(path, fd)) {
      closeSync(fd);
      return false;
    }
    if (known !== undefined) closeSync(known.fd);
    this.#held.set(path, { fd, count: (known?.count ?? 0) + 1 });
    return true;
  }

  /** Makes a folder unless it is there, and holds it. */
  async make(path: string): Promise<void> {
    for (;;) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
      if (this.hold(path)) return;
      // It is being removed at this moment.
      await sleep(5);
    }
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

/** Exclusive locks of entries are held for moments only: to look whether one is in use, or to move it away. */
function takeShared(fd: number): boolean {
  for (let tries = 0; tries < longestWaitMs; tries++) {
    if (tryLock(fd, 'shared')) return true;
    Atomics.wait(neverChanges, 0, 0, 1);
  }
  return false;
}

const longestWaitMs = 100;
const neverChanges = new Int32Array(new SharedArrayBuffer(4));

function openIfExists(path: string): number | null {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}

/** True while the path leads to what is open. */
export function isAt(path: string, fd: number): boolean {
  const now = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  const held = fstatSync(fd, { bigint: true });
  return now?.ino === held.ino && now.dev === held.dev;
}
