import { closeSync, constants, openSync, readSync } from 'node:fs';
import type { ByteString } from './byte-string.ts';
import { check, cString, einval, enosys, lastErrno, libc, systemError } from './libc.ts';

const newMountNamespace = 0x00020000;

const flagBits = {
  'read-only': 0x1,
  'no-suid': 0x2,
  'no-dev': 0x4,
  'no-exec': 0x8,
  remount: 0x20,
  'no-atime': 0x400,
  bind: 0x1000,
  move: 0x2000,
  recursive: 0x4000,
  private: 0x40000,
  slave: 0x80000,
  'strict-atime': 0x1000000,
} as const;

export type MountFlag = keyof typeof flagBits;

export interface MountOptions {
  /** Device, folder or name; none for a change of propagation. */
  readonly source?: string;
  /** File system type; none for bind, move and changes of propagation. */
  readonly type?: string;
  readonly flags?: readonly MountFlag[];
  /** The file system's own options, separated by commas; at most 4095 bytes. */
  readonly data?: string;
}

export interface OverlayMount {
  /** Base layer first; at least one. */
  readonly lowerDirs: readonly string[];
  /** Absent for a read-only union, which needs two lower directories or more. */
  readonly upper?: { readonly upperDir: string; readonly workDir: string };
  /** Further options by name, such as `metacopy: 'off'`; null for a flag like `userxattr`. */
  readonly options?: Readonly<Record<string, string | null>>;
  readonly flags?: readonly ('read-only' | 'no-suid' | 'no-dev' | 'no-exec')[];
}

/**
 * Moves the calling thread (only it: use a thread of its own, processes it starts inherit it) into a mount
 * namespace of its own and cuts propagation, so that no mount made from now on is seen outside. Needs CAP_SYS_ADMIN.
 */
export function unshareMounts(): void {
  check(libc().unshare(newMountNamespace), 'unshare');
  makeMountsPrivate('/');
}

/** Cuts the mount at `target` and all below it off from propagation in both directions. */
export function makeMountsPrivate(target: string): void {
  mount(target, { flags: ['recursive', 'private'] });
}

/** mount(2). `target` is followed when it is a symbolic link. */
export function mount(target: string, options: MountOptions): void {
  const result = libc().mount(
    cName(options.source),
    cPath(target),
    cName(options.type),
    bitsOf(options.flags ?? []),
    cName(options.data),
  );
  check(result, 'mount', target);
}

/** umount2(2); a symbolic link as `target` is refused. `detach`: out of sight now, gone when no longer in use. */
export function unmount(target: string, options: { readonly detach?: boolean } = {}): void {
  const noFollow = 0x8;
  const detach = options.detach === true ? 0x2 : 0;
  check(libc().umount2(cPath(target), noFollow | detach), 'umount2', target);
}

/**
 * Mounts an overlay. Uses the mount API of Linux 5.2 with overlay's `lowerdir+` (6.5), which has no limit on the
 * length of the list below overlay's own of 500; on older kernels an option string, whose 4 KiB hold at least 200 layers
 * since long or awkward paths are passed as open files.
 * @throws the kernel's own words in the message where it gives any.
 */
export function mountOverlay(target: string, overlay: OverlayMount): void {
  const opened: number[] = [];
  try {
    if (!mountWithFsopen(target, overlay, opened)) mountWithString(target, overlay, opened);
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}

const setFlag = 0;
const setString = 1;
const create = 6;
const closeOnExec = 1;
const emptyPath = 0x4;
const currentFolder = -100;
// A parameter's value may have 255 bytes (fs/fsopen.c).
const longestValue = 255;
const longestData = 4095;

/** @returns false when this kernel lacks the calls or `lowerdir+`. */
function mountWithFsopen(target: string, overlay: OverlayMount, opened: number[]): boolean {
  const context = libc().fsopen('overlay', closeOnExec);
  if (context === -1) {
    const errno = lastErrno();
    if (errno === enosys) return false;
    throw systemError('fsopen', 'overlay', errno);
  }
  opened.push(context);
  const configure = (command: number, key: string | null, value: string | null): void => {
    const result = libc().fsconfig(context, command, cName(key ?? undefined), cName(value ?? undefined), 0);
    if (result !== -1) return;
    const errno = lastErrno();
    throw systemError('fsconfig', target, errno, kernelMessage(context));
  };
  const topFirst = overlay.lowerDirs.map((folder) => plainPath(folder, opened)).reverse();
  for (const [index, folder] of topFirst.entries()) {
    const result = libc().fsconfig(context, setString, 'lowerdir+', cPath(folder), 0);
    if (result !== -1) continue;
    const errno = lastErrno();
    if (index === 0 && errno === einval) return false;
    throw systemError('fsconfig', folder, errno, kernelMessage(context));
  }
  for (const [key, value] of optionsOf(overlay, opened)) {
    configure(value === null ? setFlag : setString, key, value);
  }
  configure(create, null, null);
  const attributes = bitsOf(overlay.flags ?? []);
  const mounted = libc().fsmount(context, closeOnExec, attributes);
  if (mounted === -1) throw systemError('fsmount', target, lastErrno(), kernelMessage(context));
  opened.push(mounted);
  check(libc().moveMount(mounted, '', currentFolder, cPath(target), emptyPath), 'move_mount', target);
  return true;
}

function mountWithString(target: string, overlay: OverlayMount, opened: number[]): void {
  const render = (lowers: readonly string[]): string =>
    [['lowerdir', lowers.join(':')] as const, ...optionsOf(overlay, opened)]
      .map(([key, value]) => (value === null ? key : `${key}=${value}`))
      .join(',');
  const topFirst = [...overlay.lowerDirs].reverse();
  let data = render(topFirst.map((folder) => plainPath(folder, opened)));
  if (data.length > longestData) data = render(topFirst.map((folder) => pathOfOpened(folder, opened)));
  mount(target, { source: 'overlay', type: 'overlay', flags: overlay.flags ?? [], data });
}

function* optionsOf(overlay: OverlayMount, opened: number[]): Generator<readonly [string, string | null]> {
  if (overlay.upper !== undefined) {
    yield ['upperdir', plainPath(overlay.upper.upperDir, opened)];
    yield ['workdir', plainPath(overlay.upper.workDir, opened)];
  }
  yield* Object.entries(overlay.options ?? {});
}

/** A path that fits a mount option: itself, or by way of an open file when it is long or has separators in it. */
function plainPath(folder: string, opened: number[]): string {
  const plain = Buffer.byteLength(folder) <= longestValue && !/[\\:,"]/.test(folder);
  return plain ? folder : pathOfOpened(folder, opened);
}

function pathOfOpened(folder: string, opened: number[]): string {
  // O_PATH (0o10000000 on every architecture that Node runs on) names the folder without opening it for reading.
  const fd = openSync(folder, 0o10000000 | constants.O_DIRECTORY);
  opened.push(fd);
  return `/proc/self/fd/${fd}`;
}

/** What the kernel logged about a mount in the making: lines like `e overlay: ...`. */
function kernelMessage(context: number): string | undefined {
  const lines: string[] = [];
  const buffer = Buffer.alloc(4096);
  for (;;) {
    try {
      const size = readSync(context, buffer);
      if (size === 0) break;
      lines.push(
        buffer
          .toString('utf8', 0, size)
          .trim()
          .replace(/^[ewi] /, ''),
      );
    } catch {
      // ENODATA: nothing more was logged.
      break;
    }
  }
  return lines.length === 0 ? undefined : lines.join('; ');
}

function bitsOf(flags: readonly MountFlag[]): number {
  return flags.reduce((bits, flag) => bits | flagBits[flag], 0);
}

function cPath(path: string): string | Buffer {
  return cString(Buffer.from(path, 'utf8').toString('latin1') as ByteString);
}

function cName(text: string | undefined): string | Buffer | null {
  return text === undefined ? null : cPath(text);
}
