import { CairnError } from '../../errors/index.ts';
import type { Digest } from '../../oci/index.ts';
import type { Attributes, ContentSource, LayerEntry, Tree } from '../../store/contracts.ts';
import { type ByteString, toText } from '../../sys/index.ts';
import { joinPath, parentOf, resolvePath } from './resolve-path.ts';

/** A node that an edit put into the tree. Files with one `inode` are hard links of each other. */
export type EditedNode = Attributes &
  (
    | {
        readonly type: 'file';
        readonly size: number;
        readonly digest: Digest;
        readonly source: ContentSource;
        readonly inode?: string;
      }
    | { readonly type: 'dir' | 'fifo' }
    | { readonly type: 'symlink'; readonly link: ByteString }
    | { readonly type: 'char' | 'block'; readonly rdev: readonly [number, number] }
  );

/** What can be asked of a path, whether an edit or the base put it there. */
export interface VisibleNode extends Attributes {
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'char' | 'block';
  readonly link?: ByteString;
}

export interface LinkOptions {
  /** What the shared inode gets: a tar names it again with each link. */
  readonly attributes: Attributes;
  /** Where the bytes are of a file that is in the base. */
  readonly contentOf: (path: ByteString) => ContentSource;
}

export interface Ownership {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Changes to a merged root file system, made without unpacking anything, and the layer that they amount to.
 * Paths are as the tree has them. It is the one mutable thing in a COPY, ADD or WORKDIR step, and local to it.
 */
export class TreeEditor {
  readonly #base: Tree;
  readonly #mtime: number;
  /** null: the base's node is gone. */
  readonly #edits = new Map<ByteString, EditedNode | null>();
  #scopes = 0;
  /** Names that edits added to a folder. */
  readonly #added = new Map<ByteString, Set<ByteString>>();
  #inodes = 0;

  /** @param mtime - time of everything that is created here without a time of its own, in seconds. */
  constructor(base: Tree, mtime: number) {
    this.#base = base;
    this.#mtime = mtime;
  }

  /** A number that no other source of this editor has, to keep their inodes apart. */
  nextScope(): number {
    return this.#scopes++;
  }

  get(path: ByteString): VisibleNode | undefined {
    const edited = this.#edits.get(path);
    if (edited !== undefined) return edited ?? undefined;
    return this.#isBaseHidden(path) ? undefined : this.#base.get(path);
  }

  /** Where `path` really lies, links followed inside the root (see `resolvePath`). */
  resolve(path: ByteString, options: { readonly followLast: boolean }): ByteString {
    return resolvePath(this, path, options);
  }

  /**
   * Makes `path` (resolved) and the folders above it, as `mkdir -p`; what exists is left alone.
   * @throws {CairnError} NOT_A_DIRECTORY when a component is something else
   */
  mkdirAll(path: ByteString, attributes: { readonly mode: number } & Ownership): void {
    const node = this.get(path);
    if (node?.type === 'dir') return;
    if (node !== undefined) throw notADirectory(path);
    if (path !== '') this.mkdirAll(parentOf(path), attributes);
    this.put(path, { type: 'dir', mtime: this.#mtime, ...attributes });
  }

  /** Puts a node at `path`, whose folder exists. What was there is gone. */
  put(path: ByteString, node: EditedNode): void {
    const before = this.#edits.get(path);
    if (node.type === 'dir' && before !== undefined && before?.type !== 'dir') this.#hideBaseChildren(path);
    this.#edits.set(path, node);
    const parent = parentOf(path);
    const names = this.#added.get(parent);
    if (names) names.add(path);
    else this.#added.set(parent, new Set([path]));
  }

  /**
   * Makes `path`, whose folder exists, a further name of the file at `target`. As on overlayfs, a file of the base is copied up: both
   * names are in the layer then. Anything but a regular file gets a node of its own that is like the target's.
   */
  link(path: ByteString, target: ByteString, { attributes, contentOf }: LinkOptions): void {
    const node = this.#edits.get(target) ?? this.#baseNode(target, contentOf);
    if (node === undefined || node === null) throw new Error(`no node to link to: ${target}`);
    if (node.type === 'file' && node.inode !== undefined && isLike(node, attributes)) {
      this.put(path, node);
      return;
    }
    const inode = node.type === 'file' ? { inode: node.inode ?? `link:${++this.#inodes}` } : {};
    const mode = node.type === 'symlink' ? node.mode : attributes.mode;
    const xattrs = { ...node.xattrs, ...attributes.xattrs };
    const shared = {
      ...node,
      ...attributes,
      mode,
      ...inode,
      ...(Object.keys(xattrs).length > 0 ? { xattrs } : {}),
    } as EditedNode;
    for (const name of this.#namesOf(node, target)) this.put(name, shared);
    this.put(path, shared);
  }

  /** All edited names of a node. */
  #namesOf(node: EditedNode, target: ByteString): readonly ByteString[] {
    if (node.type !== 'file' || node.inode === undefined) return [target];
    const isName = ([, other]: readonly [ByteString, EditedNode | null]) =>
      other?.type === 'file' && other.inode === node.inode;
    return [...this.#edits].filter(isName).map(([name]) => name);
  }

  #baseNode(path: ByteString, contentOf: (path: ByteString) => ContentSource): EditedNode | undefined {
    const node = this.#isBaseHidden(path) ? undefined : this.#base.get(path);
    if (node === undefined) return undefined;
    const { digest, content, inode, ...rest } = node;
    return { ...rest, ...(node.type === 'file' ? { digest, source: contentOf(path) } : {}) } as EditedNode;
  }

  /** Removes `path` and everything below it. */
  removeAll(path: ByteString): void {
    for (const child of this.#added.get(path) ?? []) this.removeAll(child);
    this.#added.delete(path);
    this.#edits.set(path, null);
  }

  /** A folder that takes the place of something else starts empty, whatever the base has there. */
  #hideBaseChildren(path: ByteString): void {
    for (const name of this.#base.list(path)) this.#edits.set(joinPath(path, name), null);
  }

  /** The layer: sorted, only what differs from the base (folders that are as before are left out). */
  entries(): LayerEntry[] {
    const firstNames = new Map<string, ByteString>();
    const entries: LayerEntry[] = [];
    for (const path of sortByComponent(this.#edits.keys())) {
      const node = this.#edits.get(path);
      if (node === null || node === undefined) entries.push(...this.#removal(path));
      else entries.push(...this.#addition(path, node, firstNames));
    }
    return entries;
  }

  #removal(path: ByteString): LayerEntry[] {
    const wasThere = this.#base.get(path) !== undefined && !this.#isBaseHidden(path);
    return wasThere ? [{ type: 'whiteout', path }] : [];
  }

  #addition(path: ByteString, node: EditedNode, firstNames: Map<string, ByteString>): LayerEntry[] {
    const before = this.#isBaseHidden(path) ? undefined : this.#base.get(path);
    if (node.type === 'dir')
      return before?.type === 'dir' && sameAttributes(node, before) ? [] : [{ ...node, path }];
    if (node.type !== 'file') return [{ ...node, path }];
    const { inode, ...file } = node;
    if (inode === undefined) return [{ ...file, path }];
    const first = firstNames.get(inode);
    if (first !== undefined) return [{ type: 'hardlink', path, target: first }];
    firstNames.set(inode, path);
    return [{ ...file, path }];
  }

  /** True when an edit removed or replaced a folder above `path`. */
  #isBaseHidden(path: ByteString): boolean {
    for (let parent = path; parent !== ''; ) {
      parent = parentOf(parent);
      const edited = this.#edits.get(parent);
      if (edited === undefined) continue;
      if (edited === null || edited.type !== 'dir') return true;
    }
    return false;
  }
}

/** Byte order by component: a folder is directly followed by its contents. */
function sortByComponent(paths: Iterable<ByteString>): ByteString[] {
  // No name holds a zero byte, so it can stand for the slash and sort before everything else.
  const keys = Array.from(paths, (path) => path.replaceAll('/', '\0'));
  return keys.sort((a, b) => (a < b ? -1 : 1)).map((key) => key.replaceAll('\0', '/') as ByteString);
}

/** True when taking these attributes would change nothing. */
function isLike(node: Attributes, { xattrs = {}, ...attributes }: Attributes): boolean {
  const hasXattrs = Object.entries(xattrs).every(([name, value]) => node.xattrs?.[name] === value);
  return hasXattrs && sameAttributes({ ...node, ...attributes }, node) && node.mtime === attributes.mtime;
}

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return (
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    JSON.stringify(a.xattrs ?? {}) === JSON.stringify(b.xattrs ?? {})
  );
}

function notADirectory(path: ByteString): CairnError {
  return new CairnError('NOT_A_DIRECTORY', {
    message: `"/${toText(path)}" is in the way: it exists and is not a directory`,
    help: 'choose another destination, or remove the file in an earlier RUN',
  });
}
