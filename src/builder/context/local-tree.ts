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
import type { ContentSource, FileIdentity, StatCache } from '../../store/contracts.ts';
import { type ByteString, decodeDevice, fsPath, toBytes, toText } from '../../sys/index.ts';
import { joinPath } from '../copy/resolve-path.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import type { MatchState, PatternMatcher } from './pattern-matcher.ts';

export interface LocalTreeOptions {
  /** Absolute path of the folder. */
  readonly root: string;
  /** What .dockerignore leaves out; null for nothing. */
  readonly ignore: PatternMatcher | null;
  readonly stats: StatCache;
  /** 0664 and 0775 count as 0644 and 0755, so that the umask of a checkout does not matter. */
  readonly modes: 'normal' | 'exact';
}

/** Files carry what the stat cache knows them by. */
interface ContextNode extends SourceNode {
  readonly identity?: FileIdentity;
}

/**
 * A folder of the host as COPY sees it: ignored paths are absent, sockets too, owners are root's. Folders are read
 * when first looked at, so paths that no instruction names cost nothing. One lstat a path; content digests come
 * from the stat cache while the file's identity is unchanged. Extended attributes are not looked at: they are an accident of
 * the checkout, which neither git nor most archives carry, and BuildKit drops them too (measured with 28.5).
 */
export class LocalTree implements SourceTree {
  readonly #options: LocalTreeOptions;
  readonly #root: ByteString;
  readonly #nodes = new Map<ByteString, ContextNode>();
  readonly #names = new Map<ByteString, readonly ByteString[]>();
  readonly #matches = new Map<ByteString, MatchState>();
  readonly #digests = new Map<ByteString, Digest>();

  constructor(options: LocalTreeOptions) {
    this.#options = options;
    this.#root = toBytes(options.root);
    const stat = lstatSync(options.root, { bigint: true });
    this.#nodes.set('' as ByteString, this.#node('' as ByteString, stat));
  }

  get(path: ByteString): SourceNode | undefined {
    const known = this.#nodes.get(path);
    if (known !== undefined || path === '') return known;
    const slash = path.lastIndexOf('/');
    const parent = path.slice(0, Math.max(slash, 0)) as ByteString;
    if (this.#names.has(parent) || this.get(parent)?.type !== 'dir') return undefined;
    this.list(parent);
    return this.#nodes.get(path);
  }

  list(path: ByteString): readonly ByteString[] {
    const known = this.#names.get(path);
    if (known) return known;
    if (this.get(path)?.type !== 'dir') return [];
    const names = this.#read(path);
    this.#names.set(path, names);
    return names;
  }

  digest(path: ByteString): Digest {
    const known = this.#digests.get(path);
    if (known) return known;
    const node = this.#nodes.get(path);
    if (node?.identity === undefined) throw new Error(`not a file of the context: ${path}`);
    const digest = this.#options.stats.get(node.identity) ?? this.#hash(path, node.size, node.identity);
    this.#digests.set(path, digest);
    return digest;
  }

  content(path: ByteString): ContentSource {
    return { kind: 'path', path: this.#hostPath(path) };
  }

  #hash(path: ByteString, sizeBytes: number, identity: FileIdentity): Digest {
    const digest = hashFile(this.#hostPath(path), sizeBytes);
    this.#options.stats.put(identity, digest);
    return digest;
  }

  #hostPath(path: ByteString): ByteString {
    return path === '' ? this.#root : (`${this.#root}/${path}` as ByteString);
  }

  /** Reads a folder: its visible names in byte order. */
  #read(folder: ByteString): ByteString[] {
    let names: string[];
    try {
      names = readdirSync(fsPath(this.#hostPath(folder)), 'latin1');
    } catch (error) {
      throw unreadable(folder, error);
    }
    return (names.sort() as ByteString[]).filter((name) => this.#admit(joinPath(folder, name), folder));
  }

  /** Takes a path into the tree unless it is ignored, gone again or a socket. */
  #admit(path: ByteString, folder: ByteString): boolean {
    const match = this.#options.ignore?.match(toText(path), this.#matches.get(folder));
    const mayHold = match?.excluded === true && this.#options.ignore?.mayReinclude(toText(path));
    if (match?.excluded && !mayHold) return false;
    const stat = this.#lstat(path);
    if (stat === null || stat.isSocket()) return false;
    if (match?.excluded && !stat.isDirectory()) return false;
    if (match && stat.isDirectory()) this.#matches.set(path, match.state);
    this.#nodes.set(path, this.#node(path, stat));
    // An excluded folder exists only for the sake of what is re-included below it.
    if (match?.excluded && this.list(path).length === 0) {
      this.#nodes.delete(path);
      return false;
    }
    return true;
  }

  #lstat(path: ByteString): BigIntStats | null {
    return lstatSync(fsPath(this.#hostPath(path)), { bigint: true, throwIfNoEntry: false }) ?? null;
  }

  #node(path: ByteString, stat: BigIntStats): ContextNode {
    const shared = {
      mode: this.#mode(Number(stat.mode) & 0o7777, stat),
      uid: 0,
      gid: 0,
      mtime: Math.floor(Number(stat.mtimeNs) / 1e9),
    };
    if (stat.isDirectory()) return { type: 'dir', size: 0, ...shared };
    if (stat.isSymbolicLink()) {
      const link = readlinkSync(fsPath(this.#hostPath(path)), 'latin1') as ByteString;
      return { type: 'symlink', size: 0, link, ...shared };
    }
    if (stat.isFIFO()) return { type: 'fifo', size: 0, ...shared };
    if (stat.isCharacterDevice() || stat.isBlockDevice())
      return {
        type: stat.isBlockDevice() ? 'block' : 'char',
        size: 0,
        rdev: decodeDevice(Number(stat.rdev)),
        ...shared,
      };
    const { dev, ino, size, mtimeNs, ctimeNs } = stat;
    const inode = stat.nlink > 1n ? { inode: `${dev}:${ino}` } : {};
    const identity = { dev, ino, size, mtimeNs, ctimeNs };
    return { type: 'file', size: Number(size), ...inode, ...shared, identity };
  }

  #mode(mode: number, stat: BigIntStats): number {
    if (this.#options.modes === 'exact') return mode;
    if (stat.isFile() && mode === 0o664) return 0o644;
    return mode === 0o775 ? 0o755 : mode;
  }
}

const bufferSize = 1 << 20;

/** Digest of a host file of a known size, read in 1 MiB pieces without following a link. */
function hashFile(path: ByteString, sizeBytes: number): Digest {
  const hash = createHash('sha256');
  let read = 0;
  const buffer = Buffer.allocUnsafe(Math.min(Math.max(sizeBytes, 1), bufferSize));
  let fd: number;
  try {
    fd = openSync(fsPath(path), constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (error) {
    throw unreadable(path, error);
  }
  try {
    for (let n = readSync(fd, buffer); n > 0; n = readSync(fd, buffer)) {
      read += n;
      hash.update(n === buffer.length ? buffer : buffer.subarray(0, n));
      if (read > sizeBytes) break;
    }
  } finally {
    closeSync(fd);
  }
  if (read !== sizeBytes)
    throw new CairnError('CONTENT_CHANGED', {
      message: `"${toText(path)}" changed while it was being read`,
      help: 'build again when nothing writes to the build context',
    });
  return fromHex(hash.digest('hex'));
}

function unreadable(path: ByteString, cause: unknown): CairnError {
  const code = (cause as NodeJS.ErrnoException).code ?? 'error';
  return new CairnError('CONTEXT_UNREADABLE', {
    message: `cannot read "${toText(path)}" in the build context: ${code}`,
    help:
      code === 'EACCES'
        ? 'make it readable for the user that builds, or list it in .dockerignore'
        : 'check that the file still exists, or list it in .dockerignore',
    cause,
  });
}
