import { createHash } from 'node:crypto';
import {
  type BigIntStats,
  closeSync,
  constants,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
} from 'node:fs';
import { CairnError } from '../../errors/index.ts';
import { type Digest, fromHex } from '../../oci/index.ts';
import {
  type ByteString,
  decodeDevice,
  fsPath,
  getXattr,
  isUserNamespace,
  listXattrs,
  toBytes,
  toText,
} from '../../sys/index.ts';
import type { Attributes, LayerEntry, Tree, TreeNode } from '../contracts.ts';
import { withParents } from './ancestors.ts';
import { type Owner, ownerOf, restored } from './owner-mark.ts';
import { baseOf, joinPath } from './path-order.ts';
import { isReservedName } from './whiteout.ts';
import { canonicalXattrs, isImageXattr, sameXattrs } from './xattr-policy.ts';

export interface ScanOptions {
  /** Seconds since 1970 that replace every later time; `Infinity` keeps all. */
  readonly epoch: number;
  /** Where overlay keeps its marks, as the mount was made. Default: as sandboxes mount here. */
  readonly overlayXattrs?: 'trusted' | 'user';
  /** A last look at the changes, sorted, before the directories above them are added: what it gives, sorted, is the result. */
  readonly refine?: (entries: LayerEntry[]) => readonly LayerEntry[];
  /** Told about what a layer cannot hold and the result leaves out. */
  readonly onSkipped?: (path: ByteString, reason: 'socket' | 'reserved name') => void;
}

/**
 * Reads overlay's upper directory after a command and says, in canonical form, what the command changed. The
 * result depends on the merged file system before and after only, not on how the kernel got there: a file
 * that is as it was (copied up without a change) is no entry, nor is a directory of which only the time moved
 * because names in it came or went; deletions are explicit whiteouts, one for the topmost name that is gone,
 * for names that existed. Directories above an entry are entries (withParents). The root's own attributes are no
 * change: the caller makes the upper directory, with whatever it chooses.
 * Contents are not read, except to compare a file whose attributes are all equal.
 * @param upperDir - absolute; nothing may write to it any more.
 * @param parent - the merged tree below.
 * @throws {CairnError} OVERLAY_UNSUPPORTED when the mount had redirect_dir or metacopy on; CONTENT_UNREADABLE
 */
export function scanUpper(upperDir: string, parent: Tree, options: ScanOptions): LayerEntry[] {
  const scan = new Scan(toBytes(upperDir), parent, options);
  const entries = scan.run();
  return [...withParents(options.refine?.(entries) ?? entries, parent)];
}

type Leaf = Exclude<LayerEntry, { readonly type: 'dir' | 'whiteout' | 'hardlink' }>;

interface Group {
  /** Names in the upper directory, in order. */
  readonly names: ByteString[];
  /** Whether the parent has the same inode under the same names. */
  asBefore?: boolean;
}

/** A name in the upper directory that is no directory, until the names of its inode are all known. */
interface Found {
  readonly entry: Leaf;
  /** Its time as it is, which may be after the epoch, as the times of a base image are. */
  readonly mtime: number;
  readonly inode: string | undefined;
}

class Scan {
  readonly #upper: ByteString;
  readonly #parent: Tree;
  readonly #options: ScanOptions;
  readonly #marks: string;
  readonly #isUserNamespace = isUserNamespace();
  readonly #found: (LayerEntry | Found)[] = [];
  /** Inodes with several names, by number. */
  readonly #groups = new Map<string, Group>();

  constructor(upper: ByteString, parent: Tree, options: ScanOptions) {
    this.#upper = upper;
    this.#parent = parent;
    this.#options = options;
    this.#marks = `${options.overlayXattrs ?? (isUserNamespace() ? 'user' : 'trusted')}.overlay.`;
  }

  run(): LayerEntry[] {
    this.#folder('' as ByteString, this.#isOpaque('' as ByteString));
    return this.#found.flatMap((found) => ('entry' in found ? this.#settle(found) : [found]));
  }

  /** @param hidden - nothing of the lower directory of that name shows through. */
  #folder(path: ByteString, hidden: boolean): void {
    const names = new Set(readdirSync(fsPath(this.#hostPath(path)), 'latin1') as ByteString[]);
    const below = hidden ? this.#parent.list(path) : [];
    for (const name of [...new Set([...names, ...below])].sort()) {
      const child = joinPath(path, name);
      if (names.has(name)) this.#name(child, hidden);
      else this.#found.push({ type: 'whiteout', path: child });
    }
  }

  #name(path: ByteString, hidden: boolean): void {
    const stat = lstatSync(fsPath(this.#hostPath(path)), { bigint: true });
    const below = this.#parent.get(path);
    if (stat.isCharacterDevice() && stat.rdev === 0n) {
      if (below !== undefined) this.#found.push({ type: 'whiteout', path });
    } else if (stat.isSocket() || isReservedName(baseOf(path))) {
      this.#options.onSkipped?.(path, stat.isSocket() ? 'socket' : 'reserved name');
      if (below !== undefined) this.#found.push({ type: 'whiteout', path });
    } else if (stat.isDirectory()) {
      this.#directory(path, stat, below, hidden);
    } else {
      this.#leaf(path, stat);
    }
  }

  #directory(path: ByteString, stat: BigIntStats, below: TreeNode | undefined, hidden: boolean): void {
    const raw = seconds(stat);
    const attributes = this.#attributes(path, stat);
    const isUntouched =
      below?.type === 'dir' &&
      sameOwnerAndMode(attributes, below) &&
      // The kernel sets the time when names come and go; a time that somebody chose is older than the epoch.
      (raw === below.mtime || raw > this.#options.epoch);
    if (!isUntouched) this.#found.push({ type: 'dir', path, ...attributes });
    this.#folder(path, hidden || this.#isOpaque(path));
  }

  #leaf(path: ByteString, stat: BigIntStats): void {
    const entry = this.#describe(path, stat);
    const mtime = seconds(stat);
    if (stat.nlink === 1n) {
      this.#found.push({ entry, mtime, inode: undefined });
      return;
    }
    const inode = `${stat.dev}:${stat.ino}`;
    const group = this.#groups.get(inode);
    if (group === undefined) this.#groups.set(inode, { names: [path] });
    else group.names.push(path);
    this.#found.push({ entry, mtime, inode });
  }

  #describe(path: ByteString, stat: BigIntStats): Leaf {
    const host = this.#hostPath(path);
    const attributes = this.#attributes(path, stat);
    if (stat.isFile()) {
      return {
        type: 'file',
        path,
        ...attributes,
        size: Number(stat.size),
        source: { kind: 'path', path: host },
      };
    }
    if (stat.isSymbolicLink()) {
      const link = readlinkSync(fsPath(host), 'latin1') as ByteString;
      return { type: 'symlink', path, ...attributes, mode: 0o777, link };
    }
    if (stat.isFIFO()) return { type: 'fifo', path, ...attributes };
    return {
      type: stat.isBlockDevice() ? 'block' : 'char',
      path,
      ...attributes,
      rdev: decodeDevice(stat.rdev),
    };
  }

  /** What a name adds to the layer: nothing, an entry, or a hard link to the first name of its inode. */
  #settle(found: Found): LayerEntry[] {
    const { entry, inode } = found;
    const group = inode === undefined ? undefined : this.#groups.get(inode);
    const [first, second] = group?.names ?? [];
    if (group === undefined || first === undefined || second === undefined) {
      return this.#isAsBefore(found) ? [] : [entry];
    }
    group.asBefore ??= this.#isGroupAsBefore(found, group.names);
    if (group.asBefore) return [];
    return first === entry.path ? [entry] : [{ type: 'hardlink', path: entry.path, target: first }];
  }

  #isGroupAsBefore(found: Found, names: readonly ByteString[]): boolean {
    const inode = this.#parent.get(names[0]!)?.inode;
    const sameNames = inode !== undefined && names.every((name) => this.#parent.get(name)?.inode === inode);
    return sameNames && this.#isAsBefore(found);
  }

  #isAsBefore({ entry, mtime }: Found): boolean {
    const below = this.#parent.get(entry.path);
    if (below === undefined || entry.type !== below.type || !sameOwnerAndMode(entry, below)) return false;
    if (mtime !== below.mtime && entry.mtime !== below.mtime) return false;
    switch (entry.type) {
      case 'file':
        return entry.size === below.size && digestOfFile(this.#hostPath(entry.path)) === below.digest;
      case 'symlink':
        return entry.link === below.link;
      case 'fifo':
        return true;
      default:
        return entry.rdev[0] === below.rdev?.[0] && entry.rdev[1] === below.rdev[1];
    }
  }

  #attributes(path: ByteString, stat: BigIntStats): Attributes {
    const xattrs = this.#xattrs(path);
    return {
      mode: Number(stat.mode & 0o7777n),
      ...this.#owner(path, stat),
      mtime: Math.min(seconds(stat), this.#options.epoch),
      ...(xattrs === undefined ? {} : { xattrs }),
    };
  }

  #owner(path: ByteString, stat: BigIntStats): Owner {
    const found = { uid: Number(stat.uid), gid: Number(stat.gid) };
    if (!this.#isUserNamespace) return found;
    if (stat.isFile() || stat.isDirectory()) return ownerOf(this.#hostPath(path), found);
    const below = this.#parent.get(path);
    return below === undefined || below.type === 'file' || below.type === 'dir'
      ? found
      : restored(below, found);
  }

  #xattrs(path: ByteString): Readonly<Record<string, ByteString>> | undefined {
    const host = this.#hostPath(path);
    const kept: [string, ByteString][] = [];
    for (const name of listXattrs(host)) {
      if (name === `${this.#marks}redirect` || name === `${this.#marks}metacopy`) {
        throw new CairnError('OVERLAY_UNSUPPORTED', {
          message: `"/${toText(path)}" carries overlay's "${name}": its content lies elsewhere`,
          help: 'mount overlay with redirect_dir=off and metacopy=off',
        });
      }
      const value = isImageXattr(name) ? getXattr(host, name) : null;
      if (value !== null) kept.push([name, value]);
    }
    return canonicalXattrs(kept);
  }

  #isOpaque(path: ByteString): boolean {
    return getXattr(this.#hostPath(path), `${this.#marks}opaque`) === 'y';
  }

  #hostPath(path: ByteString): ByteString {
    return (path === '' ? this.#upper : `${this.#upper}/${path}`) as ByteString;
  }
}

function seconds(stat: BigIntStats): number {
  const [whole, rest] = [stat.mtimeNs / 1_000_000_000n, stat.mtimeNs % 1_000_000_000n];
  return Number(rest < 0n ? whole - 1n : whole);
}

function sameOwnerAndMode(a: Attributes, b: Attributes): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && sameXattrs(a.xattrs, b.xattrs);
}

function digestOfFile(path: ByteString): Digest {
  const sum = createHash('sha256');
  const buffer = Buffer.allocUnsafe(256 * 1024);
  const fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    for (let got = readSync(fd, buffer); got > 0; got = readSync(fd, buffer))
      sum.update(buffer.subarray(0, got));
  } finally {
    closeSync(fd);
  }
  return fromHex(sum.digest('hex'));
}
