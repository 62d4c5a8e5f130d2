import { check, libc } from './libc.ts';

/** Enough for 8192 CPUs, the most that Linux is built for. */
const maskBytes = 1024;

/** How many CPUs this thread may use. */
export function usableCpus(): number {
  return [...cpusOf(currentMask())].length;
}

/**
 * Runs `action`, which starts a program: that program and all below it run on, and count, only the first `count` of the
 * CPUs that this thread may use. This thread is as before when it returns.
 * @param count - from 1 to `usableCpus()`.
 * @throws SystemError EINVAL
 */
export function withCpus<T>(count: number, action: () => T): T {
  const before = currentMask();
  const fewer = Buffer.alloc(maskBytes);
  for (const cpu of [...cpusOf(before)].slice(0, count)) fewer[cpu >> 3]! |= 1 << (cpu & 7);
  setMask(fewer);
  try {
    return action();
  } finally {
    setMask(before);
  }
}

function currentMask(): Buffer {
  const mask = Buffer.alloc(maskBytes);
  check(libc().schedGetaffinity(0, maskBytes, mask), 'sched_getaffinity');
  return mask;
}

function setMask(mask: Buffer): void {
  check(libc().schedSetaffinity(0, maskBytes, mask), 'sched_setaffinity');
}

/** Bits of a cpu_set_t, lowest first: an array of words in the machine's order, which is little-endian wherever Node runs. */
function* cpusOf(mask: Buffer): Generator<number> {
  for (let cpu = 0; cpu < mask.length * 8; cpu++) if (((mask[cpu >> 3]! >> (cpu & 7)) & 1) === 1) yield cpu;
}
