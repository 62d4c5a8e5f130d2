import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { type ByteString, toBuffer, toText } from './byte-string.ts';

/** A C `const char *`: ASCII text, or bytes that end in NUL. */
export type CString = string | Buffer | null;

/**
 * The C library's functions that Node lacks, as koffi calls them. Each returns -1 on failure, errno beside it.
 * 64-bit results come as `number | bigint`.
 */
interface Libc {
  flock(fd: number, operation: number): number;
  syncfs(fd: number): number;
  llistxattr(path: CString, list: Buffer | null, size: number): number | bigint;
  lgetxattr(path: CString, name: CString, value: Buffer | null, size: number): number | bigint;
  lsetxattr(path: CString, name: CString, value: Buffer, size: number, flags: number): number;
  lremovexattr(path: CString, name: CString): number;
  mknod(path: CString, mode: number, device: bigint): number;
  utimensat(dirFd: number, path: CString, times: Buffer, flags: number): number;
  unshare(flags: number): number;
  setns(fd: number, type: number): number;
  chroot(path: CString): number;
  fchdir(fd: number): number;
  pipe2(ends: Int32Array, flags: number): number;
  ioctl(fd: number, request: number, argument: Buffer): number;
  tcgetattr(fd: number, termios: Buffer): number;
  tcsetattr(fd: number, when: number, termios: Buffer): number;
  cfmakeraw(termios: Buffer): void;
  mount(source: CString, target: CString, type: CString, flags: number, data: CString): number;
  umount2(target: CString, flags: number): number;
  personality(persona: number): number;
  schedGetaffinity(pid: number, size: number, mask: Buffer): number;
  schedSetaffinity(pid: number, size: number, mask: Buffer): number;
  fsopen(type: CString, flags: number): number;
  fsconfig(fd: number, command: number, key: CString, value: CString, aux: number): number;
  fsmount(fd: number, flags: number, attributes: number): number;
  moveMount(fromFd: number, from: CString, toFd: number, to: CString, flags: number): number;
}

type Koffi = typeof import('koffi');
type Library = ReturnType<Koffi['load']>;

// The mount system calls of Linux 5.2 have these numbers on every architecture; glibc wraps them only since 2.36.
const sysMoveMount = 429;
const sysFsopen = 430;
const sysFsconfig = 431;
const sysFsmount = 432;

let koffi: Koffi | undefined;
let bindings: Libc | undefined;

/** The bindings, loaded at the first call (koffi costs 5 to 9 ms, which a cached build must not pay). */
export function libc(): Libc {
  bindings ??= bind();
  return bindings;
}

function bind(): Libc {
  koffi = createRequire(import.meta.url)('koffi') as Koffi;
  const library = koffi.load(null);
  const fsopen = library.func('long syscall(long number, const char *type, unsigned int flags)');
  const fsconfig = library.func(
    'long syscall(long number, int fd, unsigned int command, const char *key, const char *value, int aux)',
  );
  const fsmount = library.func(
    'long syscall(long number, int fd, unsigned int flags, unsigned int attributes)',
  );
  const moveMount = library.func(
    'long syscall(long number, int from_fd, const char *from, int to_fd, const char *to, unsigned int flags)',
  );
  return {
    flock: library.func('int flock(int fd, int operation)'),
    syncfs: library.func('int syncfs(int fd)'),
    llistxattr: library.func('long llistxattr(const char *path, void *list, size_t size)'),
    lgetxattr: library.func('long lgetxattr(const char *path, const char *name, void *value, size_t size)'),
    lsetxattr: library.func(
      'int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
    ),
    lremovexattr: library.func('int lremovexattr(const char *path, const char *name)'),
    mknod: bindMknod(library),
    utimensat: library.func('int utimensat(int dir_fd, const char *path, const void *times, int flags)'),
    unshare: library.func('int unshare(int flags)'),
    setns: library.func('int setns(int fd, int type)'),
    chroot: library.func('int chroot(const char *path)'),
    fchdir: library.func('int fchdir(int fd)'),
    pipe2: library.func('int pipe2(_Out_ int *ends, int flags)'),
    ioctl: library.func('ioctl', 'int', ['int', 'unsigned long', 'void *']),
    tcgetattr: library.func('int tcgetattr(int fd, void *termios)'),
    tcsetattr: library.func('int tcsetattr(int fd, int when, const void *termios)'),
    cfmakeraw: library.func('void cfmakeraw(void *termios)'),
    mount: library.func(
      'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
    ),
    umount2: library.func('int umount2(const char *target, int flags)'),
    schedGetaffinity: library.func('int sched_getaffinity(int pid, size_t size, void *mask)'),
    schedSetaffinity: library.func('int sched_setaffinity(int pid, size_t size, const void *mask)'),
    personality: library.func('int personality(unsigned long persona)'),
    fsopen: (type, flags) => Number(fsopen(sysFsopen, type, flags)),
    fsconfig: (fd, command, key, value, aux) => Number(fsconfig(sysFsconfig, fd, command, key, value, aux)),
    fsmount: (fd, flags, attributes) => Number(fsmount(sysFsmount, fd, flags, attributes)),
    moveMount: (fromFd, from, toFd, to, flags) =>
      Number(moveMount(sysMoveMount, fromFd, from, toFd, to, flags)),
  };
}

/** glibc before 2.33 (Debian 11, Ubuntu 20.04, RHEL 8) exports mknod only as `__xmknod`, with a version in front. */
function bindMknod(library: Library): Libc['mknod'] {
  try {
    return library.func('int mknod(const char *path, unsigned int mode, uint64_t device)');
  } catch {
    const xmknod = library.func(
      'int __xmknod(int version, const char *path, unsigned int mode, const uint64_t *device)',
    );
    const version = process.arch === 'x64' ? 1 : 0;
    return (path, mode, device) => xmknod(version, path, mode, [device]);
  }
}

const codes = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Names for one number: Linux gives ENOTSUP, EAGAIN and EDEADLK a second name each; Node's own errors use these.
codes.set(constants.errno.EOPNOTSUPP, 'ENOTSUP');
codes.set(constants.errno.EAGAIN, 'EAGAIN');

/** An error of a system call, with the fields of Node's own: `errno` (negative), `code`, `syscall`, `path`. */
export interface SystemError extends Error {
  readonly errno: number;
  readonly code: string;
  readonly syscall: string;
  readonly path?: string;
}

/** errno of the last call made through `libc()` on this thread. */
export function lastErrno(): number {
  return koffi?.errno() ?? 0;
}

/** Makes the error for a call that just failed. `detail` replaces the errno's own text. */
export function systemError(
  syscall: string,
  path: ByteString | string | undefined,
  errno = lastErrno(),
  detail?: string,
): SystemError {
  const code = codes.get(errno) ?? `errno ${errno}`;
  const reason =
    detail ?? (code === 'ENOTSUP' ? 'operation not supported' : getSystemErrorMap().get(-errno)?.[1]);
  const shown = path === undefined ? undefined : toText(path as ByteString);
  const message = `${code}: ${reason ?? 'unknown error'}, ${syscall}${shown === undefined ? '' : ` '${shown}'`}`;
  return Object.assign(new Error(message), {
    errno: -errno,
    code,
    syscall,
    ...(shown === undefined ? {} : { path: shown }),
  });
}

/** Throws the error of a call that returned -1. */
export function check(result: number, syscall: string, path?: ByteString | string): void {
  if (result === -1) throw systemError(syscall, path);
}

/**
 * Bytes as a C string.
 * @throws {TypeError} when they hold a NUL, which would cut the name short.
 */
export function cString(bytes: ByteString | string): string | Buffer {
  if (bytes.includes('\0')) throw new TypeError('a name for a system call must not contain NUL bytes');
  // koffi encodes strings as UTF-8, which is right for ASCII only.
  return /[^\x00-\x7f]/.test(bytes) ? toBuffer(`${bytes}\0` as ByteString) : bytes;
}

export const eintr = constants.errno.EINTR;
export const einval = constants.errno.EINVAL;
export const enodata = constants.errno.ENODATA;
export const enosys = constants.errno.ENOSYS;
export const enotsup = constants.errno.EOPNOTSUPP;
export const ewouldblock = constants.errno.EAGAIN;
