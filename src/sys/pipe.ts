import { check, libc } from './libc.ts';

// O_CLOEXEC on every architecture that Node runs on.
const closeOnExec = 0o2000000;

/** The two ends of a pipe as file descriptors; the caller closes both. */
export interface Pipe {
  readonly readEnd: number;
  readonly writeEnd: number;
}

/**
 * pipe2(2) with close-on-exec. What `child_process` calls a pipe is a socket pair, which a program cannot open again
 * by way of `/dev/stdout` (ENXIO); the output of a command has to be a true pipe.
 */
export function openPipe(): Pipe {
  const ends = new Int32Array(2);
  check(libc().pipe2(ends, closeOnExec), 'pipe2');
  return { readEnd: ends[0]!, writeEnd: ends[1]! };
}
