import { type ByteString, fromBuffer, toBuffer } from './byte-string.ts';
import { check, cString, enodata, enotsup, lastErrno, libc, systemError } from './libc.ts';

// XATTR_SIZE_MAX and XATTR_LIST_MAX are both 64 KiB: one buffer of that size holds every answer.
const limit = 65536;
let answer: Buffer | undefined;

function answerBuffer(): Buffer {
  answer ??= Buffer.allocUnsafeSlow(limit);
  return answer;
}

/**
 * Names of a file's extended attributes, sorted; a final symbolic link is not followed. Empty on file systems
 * without them. `trusted.*` shows for the superuser only.
 */
export function listXattrs(path: ByteString): ByteString[] {
  const buffer = answerBuffer();
  const size = Number(libc().llistxattr(cString(path), buffer, limit));
  if (size === 0) return [];
  if (size === -1) {
    const errno = lastErrno();
    if (errno === enotsup) return [];
    throw systemError('llistxattr', path, errno);
  }
  return (fromBuffer(buffer.subarray(0, size - 1)).split('\0') as ByteString[]).sort();
}

/** Value of one attribute, the final link not followed. @returns null when the file has none of that name */
export function getXattr(path: ByteString, name: ByteString | string): ByteString | null {
  const buffer = answerBuffer();
  const size = Number(libc().lgetxattr(cString(path), cString(name), buffer, limit));
  if (size >= 0) return fromBuffer(buffer.subarray(0, size));
  const errno = lastErrno();
  if (errno === enodata || errno === enotsup) return null;
  throw systemError('lgetxattr', path, errno);
}

/** Sets or replaces one attribute, the final link not followed. */
export function setXattr(path: ByteString, name: ByteString | string, value: ByteString): void {
  const bytes = toBuffer(value);
  check(libc().lsetxattr(cString(path), cString(name), bytes, bytes.length, 0), 'lsetxattr', path);
}

/** Removes one attribute, the final link not followed. Does nothing when the file has none of that name. */
export function removeXattr(path: ByteString, name: ByteString | string): void {
  if (libc().lremovexattr(cString(path), cString(name)) === 0) return;
  const errno = lastErrno();
  if (errno !== enodata) throw systemError('lremovexattr', path, errno);
}
