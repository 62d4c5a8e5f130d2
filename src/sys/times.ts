import type { ByteString } from './byte-string.ts';
import { check, cString, libc } from './libc.ts';

const currentFolder = -100;
const noFollow = 0x100;
// struct timespec[2] in the machine's own byte order: seconds, nanoseconds, twice.
const times = new BigInt64Array(4);
const timesBytes = Buffer.from(times.buffer);

/**
 * Sets access and modification time of a file, a final symbolic link not followed.
 * @param seconds - whole seconds since 1970, may be negative; the fraction becomes zero.
 */
export function setMtime(path: ByteString, seconds: number): void {
  times[0] = times[2] = BigInt(seconds);
  check(libc().utimensat(currentFolder, cString(path), timesBytes, noFollow), 'utimensat', path);
}
