import * as fs from 'node:fs';
import { type LockKind, lockSync, tryLock } from '../sys/index.ts';

/**
 * Runs `work` while holding an advisory lock on a file, which is made when missing. The kernel frees the lock
 * when the holder dies. `work` is synchronous on purpose: a lock held across an await would let a second user
 * in the same process block the event loop that the first one needs to go on.
 */
export function withFileLock<T>(path: string, kind: LockKind, work: () => T): T {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  try {
    lockSync(fd, kind);
    return work();
  } finally {
    // Closing the only descriptor of this open file frees its lock.
    fs.closeSync(fd);
  }
}

/**
 * Takes the exclusive lock of an existing file if nobody holds it.
 * @returns the descriptor that holds the lock until it is closed, or null when another one has it
 */
export function tryLockFile(path: string): number | null {
  const fd = fs.openSync(path, fs.constants.O_RDWR);
  if (tryLock(fd, 'exclusive')) return fd;
  fs.closeSync(fd);
  return null;
}
