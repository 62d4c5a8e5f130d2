import { lastErrno, libc, systemError } from './libc.ts';

const query = 0xffffffff;
const noRandomize = 0x0040000;

/**
 * Switches address space randomisation off for programs that this thread starts from now on (personality(2) is
 * per thread and inherited). @returns false when the kernel or a seccomp filter forbids it
 */
export function disableAddressRandomization(): boolean {
  const current = libc().personality(query);
  if (current === -1) return false;
  return libc().personality(current | noRandomize) !== -1;
}

/**
 * Runs `action`, which starts a program: that program and all below it have no address space randomisation, unless they gain
 * privileges (set-user-ID programs get it back). This thread is as before when it returns. Where it is forbidden the
 * program starts with it.
 */
export function withoutAddressRandomization<T>(action: () => T): T {
  const before = libc().personality(query);
  if (before === -1 || !disableAddressRandomization()) return action();
  try {
    return action();
  } finally {
    libc().personality(before);
  }
}

/** The calling thread's execution domain, as personality(2) gives it. */
export function currentPersonality(): number {
  const current = libc().personality(query);
  if (current === -1) throw systemError('personality', undefined, lastErrno());
  return current;
}
