import { closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import { check, libc } from './libc.ts';

// asm-generic/ioctls.h, the same on x64, arm64 and riscv64.
const getNumber = 0x80045430;
const setLock = 0x40045431;
const setSize = 0x5414;

/** Both ends of a pseudo-terminal as file descriptors; the caller closes them. */
export interface Terminal {
  /** What is written here is typed, what is read here is shown. */
  readonly master: number;
  /** For a program's stdin, stdout and stderr. */
  readonly slave: number;
}

/** Opens a new pseudo-terminal of a devpts file system. It does not become this process's controlling terminal. */
export function openTerminal(devpts: string): Terminal {
  const mode = constants.O_RDWR | constants.O_NOCTTY;
  const master = openSync(ptmxOf(devpts), mode);
  try {
    const value = Buffer.alloc(4);
    check(libc().ioctl(master, setLock, value), 'ioctl TIOCSPTLCK');
    check(libc().ioctl(master, getNumber, value), 'ioctl TIOCGPTN');
    return { master, slave: openSync(join(devpts, String(value.readUInt32LE())), mode) };
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

/** Tells a pseudo-terminal its size; the programs in its foreground get SIGWINCH. */
export function setWindowSize(
  master: number,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): void {
  // struct winsize: rows, columns, and two fields for pixels.
  const size = Buffer.from(Uint16Array.of(rows, columns, 0, 0).buffer);
  check(libc().ioctl(master, setSize, size), 'ioctl TIOCSWINSZ');
}

/**
 * Puts a terminal into raw mode: every byte goes through as it is, in both directions. (Node's own raw mode still turns line feeds
 * into CR LF.) @returns how to restore it; Node does so too when the process exits.
 */
export function enterRawMode(fd: number): () => void {
  // struct termios has 60 bytes in glibc and musl; a little more does no harm.
  const [before, raw] = [Buffer.alloc(128), Buffer.alloc(128)];
  check(libc().tcgetattr(fd, before), 'tcgetattr');
  before.copy(raw);
  libc().cfmakeraw(raw);
  const afterOutput = 1;
  check(libc().tcsetattr(fd, afterOutput, raw), 'tcsetattr');
  return () => check(libc().tcsetattr(fd, afterOutput, before), 'tcsetattr');
}

/** The host's devpts may have a `ptmx` that nobody may open (mount option ptmxmode); /dev/ptmx is the way to it. */
function ptmxOf(devpts: string): string {
  return devpts === '/dev/pts' ? '/dev/ptmx' : join(devpts, 'ptmx');
}
