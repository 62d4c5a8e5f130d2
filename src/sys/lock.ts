import { setTimeout as sleep } from 'node:timers/promises';
import { check, eintr, ewouldblock, lastErrno, libc, systemError } from './libc.ts';

export type LockKind = 'shared' | 'exclusive';

const operations = { shared: 1, exclusive: 2 } as const;
const nonBlocking = 4;
const release = 8;
const firstPauseMs = 1;
const longestPauseMs = 50;

/**
 * Takes flock(2) on an open file if nobody is in the way. The lock belongs to the open file description: it ends
 * with `unlock`, with the last close of it, or with the death of the process (Node opens files close-on-exec).
 * A lock of the other kind held through the same fd is converted, not atomically.
 * @returns false when another open file description holds a lock that excludes it.
 */
export function tryLock(fd: number, kind: LockKind): boolean {
  for (;;) {
    if (libc().flock(fd, operations[kind] | nonBlocking) === 0) return true;
    const errno = lastErrno();
    if (errno === ewouldblock) return false;
    if (errno !== eintr) throw systemError('flock', undefined, errno);
  }
}

/** Takes the lock, blocking this thread until it is free: for short critical sections only. */
export function lockSync(fd: number, kind: LockKind): void {
  while (libc().flock(fd, operations[kind]) === -1) {
    const errno = lastErrno();
    if (errno !== eintr) throw systemError('flock', undefined, errno);
  }
}

/**
 * Takes the lock without blocking the event loop, by trying at growing intervals (1 to 50 ms).
 * @param signal - rejects with its reason when aborted; the lock is not held then.
 */
export async function lock(fd: number, kind: LockKind, signal?: AbortSignal): Promise<void> {
  for (let pauseMs = firstPauseMs; !tryLock(fd, kind); pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal?.throwIfAborted();
    await sleep(pauseMs, undefined, signal === undefined ? {} : { signal });
  }
}

/** Gives the lock up; does nothing when there is none. */
export function unlock(fd: number): void {
  check(libc().flock(fd, release), 'flock');
}
