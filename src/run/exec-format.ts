import { closeSync, constants, openSync, readdirSync, readSync } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type ByteString, fromBuffer, fsPath } from '../sys/index.ts';
import type { StartFailure } from './find-executable.ts';
import { hostPath, resolveInRoot } from './path-in-root.ts';

/**
 * Foretells what execve would say about a program's format: runtimes report it each in its own way, after the command counts as
 * started. The commonest mistakes are a script for a missing shell (or with CRLF line ends) and a program for another
 * libc, whose loader is missing, or for another processor.
 * @param path - resolved, relative to the root.
 * @returns null when the kernel may be able to run it.
 */
export function formatProblem(root: string, path: ByteString, name: string): StartFailure | null {
  const missing = { exitCode: 127, message: `exec ${name}: no such file or directory` } as const;
  const unknown = { exitCode: 126, message: `exec ${name}: exec format error` } as const;
  let current = path;
  // The kernel follows five scripts at most (fs/exec.c).
  for (let depth = 0; depth < 5; depth++) {
    const file = openHead(root, current);
    // Readable or not is for the kernel to say: a program need not be.
    if (file === null) return null;
    const interpreter = interpreterOf(file);
    if (interpreter === 'unknown') return hasHandlers() ? null : unknown;
    if (interpreter === null) return null;
    const found = resolveOrNothing(root, interpreter.path);
    if (found === null) return missing;
    // A loader is no script.
    if (interpreter.kind === 'loader') return null;
    current = found;
  }
  return null;
}

interface Interpreter {
  readonly kind: 'script' | 'loader';
  readonly path: ByteString;
}

const headSize = 4096;

function openHead(root: string, path: ByteString): Buffer | null {
  let fd: number;
  try {
    fd = openSync(
      fsPath(hostPath(root, path)),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
  } catch {
    return null;
  }
  try {
    const head = Buffer.alloc(headSize);
    return head.subarray(0, readSync(fd, head, 0, headSize, 0));
  } catch {
    return null;
  } finally {
    closeSync(fd);
  }
}

function interpreterOf(head: Buffer): Interpreter | null | 'unknown' {
  if (head.toString('latin1', 0, 2) === '#!') return shebang(head);
  if (head.toString('latin1', 0, 4) === '\x7fELF') return loader(head);
  return 'unknown';
}

function shebang(head: Buffer): Interpreter | 'unknown' {
  // fs/binfmt_script.c: blanks around the path, which ends at a blank, a NUL or the end of the line.
  const line = head.toString('latin1', 2, 256).split('\n')[0]!;
  const path = line.replace(/^[ \t]+/, '').split(/[ \t\0]/)[0]!;
  return path === '' ? 'unknown' : { kind: 'script', path: path as ByteString };
}

/** ELF machines that a kernel of an architecture runs without help (with its 32-bit companions). */
const machines: Readonly<Record<string, readonly number[]>> = {
  x64: [62, 3],
  arm64: [183, 40],
  riscv64: [243],
};

const interpreterSegment = 3;

function loader(head: Buffer): Interpreter | null | 'unknown' {
  const isWide = head[4] === 2;
  const isLittle = head[5] === 1;
  if (head.length < (isWide ? 64 : 52)) return 'unknown';
  const known = machines[process.arch];
  // Machines here are little-endian.
  if (known !== undefined && !(isLittle && known.includes(head.readUInt16LE(18)))) return 'unknown';
  const start = isWide ? Number(head.readBigUInt64LE(32)) : head.readUInt32LE(28);
  const size = head.readUInt16LE(isWide ? 54 : 42);
  const count = head.readUInt16LE(isWide ? 56 : 44);
  for (let index = 0; index < count; index++) {
    const at = start + index * size;
    if (at + (isWide ? 56 : 32) > head.length) return null;
    if (head.readUInt32LE(at) !== interpreterSegment) continue;
    const offset = isWide ? Number(head.readBigUInt64LE(at + 8)) : head.readUInt32LE(at + 4);
    const length = isWide ? Number(head.readBigUInt64LE(at + 32)) : head.readUInt32LE(at + 16);
    // Further away than a linker puts it: not worth a second look.
    if (offset + length > head.length) return null;
    return { kind: 'loader', path: fromBuffer(head.subarray(offset, offset + length - 1)) };
  }
  return null;
}

function resolveOrNothing(root: string, path: ByteString): ByteString | null {
  try {
    const found = resolveInRoot(root, path);
    return found.stats === undefined ? null : found.path;
  } catch (error) {
    if (error instanceof CairnError) return null;
    throw error;
  }
}

/** Whether the kernel may hand unknown formats to a program registered with binfmt_misc (qemu, wine). */
function hasHandlers(): boolean {
  try {
    return readdirSync('/proc/sys/fs/binfmt_misc').some((name) => name !== 'register' && name !== 'status');
  } catch {
    return false;
  }
}
