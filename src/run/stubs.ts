import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  type Stats,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type ByteString, fsPath, getXattr, listXattrs, setMtime, toText } from '../sys/index.ts';
import { hostPath, type PathInRoot, resolveInRoot } from './path-in-root.ts';

interface Stub {
  readonly path: ByteString;
  readonly kind: 'file' | 'dir';
  readonly mode: number;
}

/** A directory as it was before a stub was put into it. */
interface Before {
  readonly stats: Stats;
  readonly xattrs: string;
}

const stubMode = 0o755;

/**
 * Mount points that an image lacks. They are created in the merged root file system before the command runs and taken out
 * of the overlay's upper directory after it, so that they never enter a layer: neither they, nor the times of the
 * directories that held them, nor the copies of those directories that the overlay made for their sake. What
 * the command itself wrote beside or below them stays.
 */
export class Stubs {
  readonly #root: string;
  readonly #device: number;
  readonly #stubs: Stub[] = [];
  readonly #parents = new Map<ByteString, Before>();

  /** @param root - the mounted overlay. */
  constructor(root: string) {
    this.#root = root;
    this.#device = lstatSync(root).dev;
  }

  /**
   * Makes sure that `target` exists as a mount point, no link of the image followed out of the root.
   * @returns the path below the root to mount on.
   * @throws {CairnError} MOUNT_TARGET_INVALID when something of the other kind is there, or in a read-only mount; NOT_A_DIRECTORY; LINK_LOOP
   */
  ensure(target: ByteString, kind: 'file' | 'dir'): ByteString {
    const found = resolveInRoot(this.#root, target);
    if (found.stats !== undefined) {
      checkKind(target, found.stats, kind);
      return found.path;
    }
    try {
      for (const { path, last } of missingParts(found)) this.#create(path, last ? kind : 'dir');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EROFS') throw belowReadOnly(target, error);
      throw error;
    }
    return found.path;
  }

  /** Creates a directory of the command's own, which stays: its working directory (as OCI runtimes do). */
  makeDirectory(target: ByteString): void {
    const found = resolveInRoot(this.#root, target);
    if (found.stats !== undefined) return;
    for (const { path } of missingParts(found)) this.#mkdir(path);
  }

  #create(path: ByteString, kind: 'file' | 'dir'): void {
    const parent = parentOf(path);
    const parentPath = hostPath(this.#root, parent);
    const stats = lstatSync(fsPath(parentPath));
    // Below another mount (a cache, a bound folder) nothing reaches the layer.
    const inLayer = stats.dev === this.#device;
    if (inLayer && !this.#parents.has(parent)) {
      this.#parents.set(parent, { stats, xattrs: xattrsOf(parentPath) });
    }
    if (kind === 'dir') this.#mkdir(path);
    else this.#makeFile(path);
    if (!inLayer) return;
    setMtime(parentPath, wholeSeconds(stats));
    this.#stubs.push({ path, kind, mode: stubMode });
  }

  #makeFile(path: ByteString): void {
    const at = fsPath(hostPath(this.#root, path));
    writeFileSync(at, '', { flag: 'wx', mode: stubMode });
    // As below: what the umask takes away would make the stub look like the command's own file.
    chmodSync(at, stubMode);
  }

  #mkdir(path: ByteString): void {
    const at = fsPath(hostPath(this.#root, path));
    mkdirSync(at, stubMode);
    // The umask of this process must not decide what an image holds.
    chmodSync(at, stubMode);
  }

  /** Takes the stubs out of the upper directory. Call it when the command and its mounts are gone. */
  remove(upperDir: string): void {
    for (const stub of [...this.#stubs].reverse()) {
      const at = hostPath(upperDir, stub.path);
      const stats = lstatSync(fsPath(at), { throwIfNoEntry: false });
      if (stats !== undefined && isUntouched(at, stats, stub)) {
        keepMtime(hostPath(upperDir, parentOf(stub.path)), () => removeEmpty(at, stats));
      }
    }
    const deepestFirst = [...this.#parents].sort(([a], [b]) => depth(b) - depth(a));
    for (const [path, before] of deepestFirst) this.#removeCopy(upperDir, path, before);
  }

  /** Removes a directory that the overlay copied up only because a stub was put into it. */
  #removeCopy(upperDir: string, path: ByteString, before: Before): void {
    if (path === '' || this.#stubs.some((stub) => stub.path === path)) return;
    const at = hostPath(upperDir, path);
    const stats = lstatSync(fsPath(at), { throwIfNoEntry: false });
    if (stats === undefined || !stats.isDirectory() || readdirSync(fsPath(at)).length > 0) return;
    if (isOpaque(at) || !isSame(stats, before.stats) || xattrsOf(at) !== before.xattrs) return;
    keepMtime(hostPath(upperDir, parentOf(path)), () => rmdirSync(fsPath(at)));
  }
}

function* missingParts(found: PathInRoot): Generator<{ readonly path: ByteString; readonly last: boolean }> {
  const names = found.path.split('/');
  for (let count = found.existing + 1; count <= names.length; count++) {
    yield { path: names.slice(0, count).join('/') as ByteString, last: count === names.length };
  }
}

function checkKind(target: ByteString, stats: Stats, kind: 'file' | 'dir'): void {
  if (stats.isDirectory() === (kind === 'dir')) return;
  const [isThere, isMounted] = kind === 'dir' ? ['a file', 'a directory'] : ['a directory', 'a file'];
  throw new CairnError('MOUNT_TARGET_INVALID', {
    message: `cannot mount ${isMounted} on "${toText(target)}": it is ${isThere} in the image`,
    help: 'choose another target, or mount something of the same kind',
  });
}

function belowReadOnly(target: ByteString, cause: unknown): CairnError {
  return new CairnError('MOUNT_TARGET_INVALID', {
    message: `cannot mount on "${toText(target)}": it does not exist, and the mount that it lies in is read-only`,
    help: 'add "rw" to the outer mount (what is written to it is thrown away), or create the path in its source',
    cause,
  });
}

function isUntouched(at: ByteString, stats: Stats, stub: Stub): boolean {
  if ((stats.mode & 0o7777) !== stub.mode || stats.uid !== 0 || stats.gid !== 0) return false;
  if (xattrsOf(at) !== '') return false;
  if (stub.kind === 'file') return stats.isFile() && stats.size === 0;
  return stats.isDirectory() && readdirSync(fsPath(at)).length === 0;
}

function removeEmpty(at: ByteString, stats: Stats): void {
  if (stats.isDirectory()) rmdirSync(fsPath(at));
  else unlinkSync(fsPath(at));
}

function keepMtime(folder: ByteString, action: () => void): void {
  const stats = lstatSync(fsPath(folder));
  action();
  setMtime(folder, wholeSeconds(stats));
}

function isSame(a: Stats, b: Stats): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && wholeSeconds(a) === wholeSeconds(b);
}

/** Layers hold whole seconds. */
function wholeSeconds(stats: Stats): number {
  return Math.floor(stats.mtimeMs / 1000);
}

const overlayXattr = /^(trusted|user)\.overlay\./;

/** The attributes that a layer would keep, in a form to compare. */
function xattrsOf(path: ByteString): string {
  const names = listXattrs(path).filter((name) => !overlayXattr.test(name));
  return names.length === 0 ? '' : JSON.stringify(names.map((name) => [name, getXattr(path, name)]));
}

function isOpaque(path: ByteString): boolean {
  return ['trusted', 'user'].some((space) => getXattr(path, `${space}.overlay.opaque`) === 'y');
}

function parentOf(path: ByteString): ByteString {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))) as ByteString;
}

function depth(path: ByteString): number {
  return path === '' ? 0 : path.split('/').length;
}
