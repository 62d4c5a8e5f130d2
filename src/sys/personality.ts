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

/** The calling thread's execution domain, as personality(2) gives it. */
export function currentPersonality(): number {
  const current = libc().personality(query);
  if (current === -1) throw systemError('personality', undefined, lastErrno());
  return current;
}
