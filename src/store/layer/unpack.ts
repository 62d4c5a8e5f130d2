import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import {
  type ByteString,
  fsPath,
  isUserNamespace,
  makeNode,
  setMtime,
  setXattr,
  toBytes,
  toText,
} from '../../sys/index.ts';
import type { Attributes, ContentSource, Toc, TocEntry, Tree, TreeNode } from '../contracts.ts';
import { isOwnerMapped, markOwner, type Owner, standIn } from './owner-mark.ts';
import { isBelow, joinPath, parentOf } from './path-order.ts';

export interface UnpackOptions {
  /** An existing, empty directory that nobody else can write to; absolute. */
  readonly target: string;
  /** The layer's uncompressed tar. */
  readonly tarPath: string;
  /**
   * What lies below the layer; may be left out for a layer that does not need it (`needsParent`). Whiteouts for names
   * that are not below are left out: in a directory that overlay need not merge they would be seen as files.
   */
  readonly parent?: { readonly tree: Tree; readonly content: (node: TreeNode) => ContentSource };
  /** Where overlay keeps its marks: `user` for mounts with `userxattr` (no privileges). Default `trusted`. */
  readonly overlayXattrs?: 'trusted' | 'user';
}

/**
 * True when the layer says only together with its parent how its directory looks; `unpackLayer` wants `parent` then,
 * and the result belongs to this parent only. So it is with a layer that leaves out directories that hold its files,
 * that links to files of lower layers, or that deletes what this parent does not have. Cairn's own layers do none of
 * this on the parent they were made for.
 * @param parent - called only for a layer with whiteouts.
 */
export function needsParent(toc: Toc, parent: () => Tree): boolean {
  const folders = new Set<ByteString>(['' as ByteString]);
  const files = new Set<ByteString>();
  for (const { path, type, link } of toc.entries) {
    if (!folders.has(parentOf(path))) return true;
    if (type === 'hardlink' && !files.has(link ?? ('' as ByteString))) return true;
    if (type === 'opaque' && !folders.has(path)) return true;
    if (type === 'whiteout' && parent().get(path) === undefined) return true;
    if (type === 'dir') folders.add(path);
    else files.add(path);
  }
  return false;
}

/**
 * Unpacks a layer into a directory that serves as overlay's lower directory: owners, modes (whatever the umask), times,
 * attributes, devices and hard links as the layer has them, but for owners that a user namespace lacks (owner-mark.ts); whiteouts as 0:0 character devices, opaque directories with
 * overlay's mark. No link is followed: every name is made anew in a directory that was made here.
 * Synchronous; nothing is synced to disk. A failure leaves a part behind, which the caller removes.
 * @throws {CairnError} UNPACK_NOT_PERMITTED without the right to make devices or give files away; UNPACK_FAILED
 */
export function unpackLayer(toc: Toc, options: UnpackOptions): void {
  const unpacker = new Unpacker(options);
  try {
    for (const entry of toc.entries) unpacker.add(entry);
    unpacker.finish();
  } finally {
    unpacker.close();
  }
}

interface OpenFolder {
  readonly path: ByteString;
  /** What it gets when all its contents are there. */
  readonly attributes: Attributes;
  /** Nothing of lower layers shows through. */
  opaque: boolean;
}

const rootFolder: Attributes = { mode: 0o755, uid: 0, gid: 0, mtime: 0 };
const bufferSize = 1024 * 1024;

/** Unpacks entry by entry, in order, so that a caller may do so in slices. `close` must be called. */
export class Unpacker {
  readonly #root: ByteString;
  readonly #tar: number;
  readonly #parent: UnpackOptions['parent'];
  readonly #opaqueMark: string;
  readonly #buffer = Buffer.allocUnsafeSlow(bufferSize);
  readonly #folders: OpenFolder[];
  /** Nothing to give away when a file's owner is this process's. */
  readonly #ownUid = process.geteuid?.();
  readonly #ownGid = process.getegid?.();
  /** Devices that could not be made. */
  readonly #leftOut = new Set<ByteString>();
  /** A whiteout that a directory of the same name may follow. */
  #pendingWhiteout: ByteString | undefined;

  constructor(options: UnpackOptions) {
    this.#root = toBytes(options.target);
    this.#parent = options.parent;
    this.#opaqueMark = `${options.overlayXattrs ?? 'trusted'}.overlay.opaque`;
    const root = options.parent?.tree.get('' as ByteString) ?? rootFolder;
    this.#folders = [{ path: '' as ByteString, attributes: root, opaque: false }];
    this.#tar = openSync(options.tarPath, constants.O_RDONLY);
  }

  add(entry: TocEntry): void {
    try {
      this.#add(entry);
    } catch (error) {
      throw explain(entry.path, error);
    }
  }

  /** Gives the last directories their attributes. */
  finish(): void {
    try {
      this.#settleWhiteout(null);
      while (this.#folders.length > 0) this.#leave(this.#folders.pop()!);
    } catch (error) {
      throw explain('' as ByteString, error);
    }
  }

  close(): void {
    closeSync(this.#tar);
  }

  #add(entry: TocEntry): void {
    const replaces = this.#settleWhiteout(entry);
    if (entry.path === '') {
      this.#rootEntry(entry);
      return;
    }
    if (entry.type === 'opaque') {
      this.#hide(entry.path, replaces);
      return;
    }
    this.#enter(parentOf(entry.path));
    const path = this.#hostPath(entry.path);
    switch (entry.type) {
      case 'whiteout':
        this.#pendingWhiteout = entry.path;
        break;
      case 'dir':
        this.#make(entry.path, entry, replaces);
        break;
      case 'file':
        this.#file(path, entry, { fd: this.#tar, offset: entry.offset ?? 0 });
        break;
      case 'hardlink':
        this.#hardlink(path, entry);
        break;
      case 'symlink':
        symlinkSync(fsPath(entry.link ?? ('' as ByteString)), fsPath(path));
        this.#decorate(path, entry, 'symlink');
        break;
      default:
        this.#special(path, entry, entry.type);
    }
  }

  #rootEntry(entry: TocEntry): void {
    const root = this.#folders[0]!;
    if (entry.type === 'dir') this.#folders[0] = { ...root, attributes: entry };
    if (entry.type === 'opaque') root.opaque = true;
  }

  /**
   * Decides about a whiteout once the next entry is known: the name itself, when the layer has it too, hides
   * what is below, and a directory does so by being opaque. @returns whether `next` is this name
   */
  #settleWhiteout(next: TocEntry | null): boolean {
    const path = this.#pendingWhiteout;
    this.#pendingWhiteout = undefined;
    if (path === undefined || next?.path === path) return path !== undefined;
    if (next !== null && isBelow(next.path, path)) {
      this.#hide(path, true);
    } else if (this.#isBelow(path)) {
      makeNode(this.#hostPath(path), 0, { type: 'char', rdev: [0, 0] });
    }
    return false;
  }

  /** Makes `path` the directory that names are made in; one that the layer leaves out looks as in the parent. */
  #enter(path: ByteString): void {
    for (
      let top = this.#folders.at(-1)!;
      top.path !== path && !isBelow(path, top.path);
      top = this.#folders.at(-1)!
    ) {
      this.#leave(this.#folders.pop()!);
    }
    let here = this.#folders.at(-1)!.path;
    if (here === path) return;
    for (const name of path.slice(here === '' ? 0 : here.length + 1).split('/') as ByteString[]) {
      here = joinPath(here, name);
      const below = this.#isBelow(here) ? this.#parent?.tree.get(here) : undefined;
      this.#make(here, below?.type === 'dir' ? below : rootFolder, false);
    }
  }

  /** @param isNew - the directory of that name below is deleted, so that nothing of it remains, not even its mode. */
  #hide(path: ByteString, isNew: boolean): void {
    this.#enter(isNew ? parentOf(path) : path);
    if (isNew) this.#make(path, rootFolder, true);
    else this.#folders[this.#folders.length - 1]!.opaque = true;
  }

  #make(path: ByteString, attributes: Attributes, opaque: boolean): void {
    mkdirSync(fsPath(this.#hostPath(path)), 0o700);
    this.#folders.push({ path, attributes, opaque });
  }

  /** Whether lower layers have that name, as far as this layer lets them show through; yes when they are not known. */
  #isBelow(path: ByteString): boolean {
    if (this.#folders.some(({ opaque }) => opaque)) return false;
    return this.#parent === undefined || this.#parent.tree.get(path) !== undefined;
  }

  #leave(folder: OpenFolder): void {
    const path = this.#hostPath(folder.path);
    if (folder.opaque) setXattr(path, this.#opaqueMark, 'y' as ByteString);
    this.#decorate(path, folder.attributes, 'dir');
  }

  #hardlink(path: ByteString, entry: TocEntry): void {
    const target = entry.link ?? ('' as ByteString);
    if (this.#leftOut.has(this.#hostPath(target))) return;
    try {
      linkSync(fsPath(this.#hostPath(target)), fsPath(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      this.#copyFromParent(path, target);
    }
  }

  /** An overlay directory cannot link to a lower layer: the file is copied up, as overlay itself would. */
  #copyFromParent(path: ByteString, target: ByteString): void {
    const node = this.#parent?.tree.get(target);
    if (this.#parent === undefined || node === undefined || node.type === 'dir') {
      throw new CairnError('ARCHIVE_INVALID', {
        message: `it is a hard link to "/${toText(target)}", which is no file`,
      });
    }
    if (node.type === 'symlink') {
      symlinkSync(fsPath(node.link ?? ('' as ByteString)), fsPath(path));
      this.#decorate(path, node, 'symlink');
    } else if (node.type === 'file') {
      const source = this.#parent.content(node);
      const place = source.kind === 'bytes' ? source : { ...openSource(source), close: true };
      this.#file(path, node, place);
    } else {
      this.#special(path, node, node.type);
    }
  }

  #file(path: ByteString, entry: Attributes & { readonly size: number }, content: Content): void {
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
    const fd = openSync(fsPath(path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      if ('bytes' in content) writeAll(fd, content.bytes);
      else this.#copy(fd, content.fd, content.offset, entry.size);
      // Giving a file away drops its set-uid bit and its capabilities: owner first, times last.
      const { uid, gid } = this.#ownerHere(entry);
      if (uid !== this.#ownUid || gid !== this.#ownGid) fchownSync(fd, uid, gid);
      fchmodSync(fd, entry.mode);
      if (!isOwnerMapped(entry)) markOwner(path, entry);
      for (const [name, value] of Object.entries(entry.xattrs ?? {})) setXattr(path, name, value);
      // Node's own call turns times before 1970 into now.
      if (entry.mtime < 0) setMtime(path, entry.mtime);
      else futimesSync(fd, entry.mtime, entry.mtime);
    } finally {
      closeSync(fd);
      if ('fd' in content && content.close === true) closeSync(content.fd);
    }
  }

  /** Nobody can make a device in a user namespace: it is left out there, and commands do without it, as they do without /dev's. */
  #special(path: ByteString, node: Special, type: 'fifo' | 'char' | 'block'): void {
    if (type !== 'fifo' && isUserNamespace()) {
      this.#leftOut.add(path);
      return;
    }
    makeNode(path, 0o600, type === 'fifo' ? { type } : { type, rdev: node.rdev ?? [0, 0] });
    this.#decorate(path, node, 'special');
  }

  #copy(to: number, from: number, offset: number, size: number): void {
    for (let done = 0; done < size; ) {
      const got = readSync(from, this.#buffer, 0, Math.min(bufferSize, size - done), offset + done);
      if (got === 0)
        throw new CairnError('BLOB_NOT_FOUND', { message: 'the layer ends before the content does' });
      writeAll(to, this.#buffer.subarray(0, got));
      done += got;
    }
  }

  #decorate(path: ByteString, attributes: Attributes, kind: 'dir' | 'symlink' | 'special'): void {
    const name = fsPath(path);
    const { uid, gid } = this.#ownerHere(attributes);
    if (uid !== this.#ownUid || gid !== this.#ownGid || kind === 'symlink') lchownSync(name, uid, gid);
    if (kind !== 'symlink') chmodSync(name, attributes.mode);
    if (kind === 'dir' && !isOwnerMapped(attributes)) markOwner(path, attributes);
    for (const [key, value] of Object.entries(attributes.xattrs ?? {})) {
      // xattr(7): only files and directories can have attributes of users; a foreign layer may claim others do.
      if (kind === 'dir' || !key.startsWith('user.')) setXattr(path, key, value);
    }
    setMtime(path, attributes.mtime);
  }

  #ownerHere(owner: Owner): Owner {
    return isOwnerMapped(owner) ? owner : standIn(owner);
  }

  #hostPath(path: ByteString): ByteString {
    return (path === '' ? this.#root : `${this.#root}/${path}`) as ByteString;
  }
}

type Special = Attributes & { readonly rdev?: readonly [major: number, minor: number] };

type Content =
  | { readonly bytes: Uint8Array }
  | { readonly fd: number; readonly offset: number; readonly close?: boolean };

function openSource(source: Exclude<ContentSource, { readonly kind: 'bytes' }>): {
  fd: number;
  offset: number;
} {
  const { O_RDONLY, O_NOFOLLOW } = constants;
  if (source.kind === 'slice') return { fd: openSync(source.path, O_RDONLY), offset: source.offset };
  return { fd: openSync(fsPath(source.path), O_RDONLY | O_NOFOLLOW), offset: 0 };
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
}

function explain(path: ByteString, error: unknown): CairnError {
  const what = `"/${toText(path)}" of a layer cannot be unpacked`;
  if (error instanceof CairnError) {
    return new CairnError(error.code, { message: `${what}: ${error.message}`, cause: error });
  }
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EPERM' || code === 'EACCES') {
    return new CairnError('UNPACK_NOT_PERMITTED', {
      message: `${what}: ${message}`,
      help: 'RUN needs root or a user namespace',
      cause: error,
    });
  }
  return new CairnError('UNPACK_FAILED', { message: `${what}: ${message}`, cause: error });
}
