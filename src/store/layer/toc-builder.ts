import { createHash, type Hash, hash } from 'node:crypto';
import { CairnError } from '../../errors/index.ts';
import { type DiffId, type Digest, fromHex } from '../../oci/index.ts';
import { type ByteString, toText } from '../../sys/index.ts';
import type { Toc, TocEntry } from '../contracts.ts';
import { baseOf, joinPath, parentOf } from './path-order.ts';
import { type TarHandler, type TarMember, TarReader } from './tar-reader.ts';
import { isReservedName, readMarker } from './whiteout.ts';

/** What a name in the layer leads to; several names share one after a hard link. */
interface Inode {
  readonly member: TarMember;
  digest?: Digest;
}

/** A name in the layer. A directory without `inode` was only implied by a name below it. */
interface Draft {
  inode?: Inode;
  children?: Map<ByteString, Draft>;
  whiteout?: boolean;
  opaque?: boolean;
}

const maxLinks = 255;

/**
 * Turns a layer's tar into its table of contents as the bytes come. What the tar says in several steps is said once:
 * of one name's entries the last counts, hard links are directed to the first name in path order, names
 * below a symbolic link of the same layer move to where it leads (as when containerd unpacks the layer), and the
 * result is sorted. A link of a lower layer is not followed: a directory of this layer takes its place, as
 * overlayfs has it in Docker and containerd.
 */
export class TocBuilder {
  readonly #root: Draft = { children: new Map() };
  readonly #reader: TarReader;
  readonly #tar = createHash('sha256');
  #tarSize = 0;
  #current: Inode | undefined;
  #content: Hash | undefined;

  constructor() {
    const handler: TarHandler = {
      member: (member) => this.#member(member),
      content: (chunk) => this.#chunk(chunk),
      end: () => this.#endMember(),
    };
    this.#reader = new TarReader(handler);
  }

  /** @throws {CairnError} ARCHIVE_INVALID */
  write(chunk: Uint8Array): void {
    this.#tar.update(chunk);
    this.#tarSize += chunk.length;
    this.#reader.write(chunk);
  }

  /** The table, when all bytes were written. @throws {CairnError} ARCHIVE_INVALID */
  finish(): Toc {
    this.#reader.end();
    const entries: TocEntry[] = [];
    const firstNames = new Map<Inode, ByteString>();
    emit('' as ByteString, this.#root, firstNames, entries);
    let contentSize = 0;
    for (const entry of entries) contentSize += entry.size;
    return {
      diffId: fromHex(this.#tar.digest('hex')) as DiffId,
      tarSize: this.#tarSize,
      contentSize,
      entries,
    };
  }

  #member(member: TarMember): void {
    const base = baseOf(member.path);
    const marker = readMarker(base);
    if (isAufsPath(member.path)) return;
    if (marker.kind === 'opaque') {
      this.#folder(parentOf(member.path)).opaque = true;
    } else if (marker.kind === 'whiteout') {
      if (marker.name === '' || marker.name === '.' || marker.name === '..') {
        throw invalid(member.path, 'is a whiteout that names nothing');
      }
      this.#draft(joinPath(parentOf(member.path), marker.name)).whiteout = true;
    } else if (member.path === '') {
      this.#place(this.#root, member);
    } else {
      this.#place(this.#draft(member.path), member);
    }
  }

  /** Puts a member at a name; only a directory over a directory keeps what is below. */
  #place(draft: Draft, member: TarMember): void {
    if (member.type === 'dir') {
      draft.inode = { member };
      draft.children ??= new Map();
      return;
    }
    if (draft === this.#root) throw invalid(member.path, 'would replace the root directory');
    const inode = member.type === 'hardlink' ? this.#target(member, draft) : { member };
    if (inode === null) return;
    draft.inode = inode;
    delete draft.children;
    if (member.type === 'file') this.#current = inode;
  }

  /** What a hard link leads to; null for a link to itself. */
  #target(member: TarMember, draft: Draft): Inode | null {
    const link = member.link ?? ('' as ByteString);
    const parent = this.#resolve(parentOf(link));
    const target = lookUp(this.#root, joinPath(parent, baseOf(link)));
    if (target === draft) return null;
    if (target?.children !== undefined || link === '')
      throw invalid(member.path, 'is a hard link to a directory');
    return target?.inode ?? { member: { ...member, link: joinPath(parent, baseOf(link)) } };
  }

  #chunk(chunk: Uint8Array): void {
    const inode = this.#current;
    if (inode === undefined) return;
    if (chunk.length === inode.member.size) {
      inode.digest = fromHex(hash('sha256', chunk));
      return;
    }
    this.#content ??= createHash('sha256');
    this.#content.update(chunk);
  }

  #endMember(): void {
    const inode = this.#current;
    if (inode !== undefined) {
      inode.digest ??= fromHex(
        this.#content === undefined ? hash('sha256', '') : this.#content.digest('hex'),
      );
    }
    this.#current = undefined;
    this.#content = undefined;
  }

  /** The draft for a name, made where it is missing. */
  #draft(path: ByteString): Draft {
    const folder = this.#folder(parentOf(path));
    const name = baseOf(path);
    return childOf(folder, name);
  }

  /** A directory and those above it, implied where nothing says otherwise. */
  #folder(path: ByteString): Draft {
    let folder = this.#root;
    const resolved = this.#resolve(path);
    if (resolved === '') return folder;
    for (const name of resolved.split('/') as ByteString[]) {
      const next = childOf(folder, name);
      if (next.children === undefined) {
        if (next.inode !== undefined) throw invalid(path, 'is used as a directory but is none');
        next.children = new Map();
      }
      folder = next;
    }
    return folder;
  }

  /** Follows the layer's own symbolic links in all components, inside the root. */
  #resolve(path: ByteString): ByteString {
    // Most folders are named plainly again and again.
    if (path === '' || lookUp(this.#root, path)?.children !== undefined) return path;
    const rest = path.split('/').reverse() as ByteString[];
    const resolved: { readonly name: ByteString; readonly draft: Draft | undefined }[] = [];
    let links = 0;
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        resolved.pop();
        continue;
      }
      const parent = resolved.length === 0 ? this.#root : resolved[resolved.length - 1]!.draft;
      const draft = parent?.children?.get(name);
      const member = draft?.inode?.member;
      if (member?.type !== 'symlink') {
        resolved.push({ name, draft });
        continue;
      }
      links += 1;
      if (links > maxLinks) throw invalid(path, 'lies behind too many symbolic links');
      const text = member.link ?? ('' as ByteString);
      if (text.startsWith('/')) resolved.length = 0;
      rest.push(...(text.split('/').reverse() as ByteString[]));
    }
    return resolved.map(({ name }) => name).join('/') as ByteString;
  }
}

/** The draft of a name in a directory, made where it is missing. */
function childOf(folder: Draft, name: ByteString): Draft {
  const existing = folder.children!.get(name);
  if (existing !== undefined) return existing;
  if (isReservedName(name)) throw invalid(name, 'is the name of a whiteout, used as a directory');
  const draft: Draft = {};
  folder.children!.set(name, draft);
  return draft;
}

function lookUp(root: Draft, path: ByteString): Draft | undefined {
  if (path === '') return root;
  let draft: Draft | undefined = root;
  for (const name of path.split('/') as ByteString[]) {
    draft = draft.children?.get(name);
    if (draft === undefined) return undefined;
  }
  return draft;
}

/** Entries of a name and all below it: its whiteout, itself, its opaque mark, its contents. */
function emit(path: ByteString, draft: Draft, firstNames: Map<Inode, ByteString>, into: TocEntry[]): void {
  if (draft.whiteout === true)
    into.push({ path, type: 'whiteout', mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 });
  if (draft.inode !== undefined) into.push(entryOf(path, draft.inode, firstNames));
  if (draft.children === undefined) return;
  if (draft.opaque === true) into.push({ path, type: 'opaque', mode: 0, uid: 0, gid: 0, mtime: 0, size: 0 });
  for (const name of [...draft.children.keys()].sort()) {
    emit(joinPath(path, name), draft.children.get(name)!, firstNames, into);
  }
}

function entryOf(path: ByteString, inode: Inode, firstNames: Map<Inode, ByteString>): TocEntry {
  const entry = entryOfInode(path, inode, firstNames);
  const { xattrs } = inode.member;
  return xattrs === undefined ? entry : { ...entry, xattrs };
}

/** Builds each object in one piece: there may be hundreds of thousands. */
function entryOfInode(path: ByteString, inode: Inode, firstNames: Map<Inode, ByteString>): TocEntry {
  const { type, mode, uid, gid, mtime, size, link, rdev, offset } = inode.member;
  if (type === 'dir') return { path, type, mode, uid, gid, mtime, size: 0 };
  const first = firstNames.get(inode);
  if (first !== undefined) return { path, type: 'hardlink', mode, uid, gid, mtime, size: 0, link: first };
  firstNames.set(inode, path);
  switch (type) {
    case 'file':
      // `end` follows every file's content, so that the digest is there.
      return { path, type, mode, uid, gid, mtime, size, offset, digest: inode.digest! };
    case 'symlink':
      return { path, type, mode: 0o777, uid, gid, mtime, size: 0, link: link ?? ('' as ByteString) };
    case 'hardlink':
      return { path, type, mode, uid, gid, mtime, size: 0, link: link ?? ('' as ByteString) };
    case 'char':
    case 'block':
      return { path, type, mode, uid, gid, mtime, size: 0, rdev: rdev ?? [0, 0] };
    default:
      return { path, type, mode, uid, gid, mtime, size: 0 };
  }
}

function isAufsPath(path: ByteString): boolean {
  return (
    path.includes('.wh..wh.') &&
    path.split('/').some((name) => readMarker(name as ByteString).kind === 'aufs')
  );
}

function invalid(path: ByteString, reason: string): CairnError {
  return new CairnError('ARCHIVE_INVALID', { message: `tar: "/${toText(path)}" ${reason}` });
}
