import { CairnError } from '../../errors/index.ts';
import type { DiffId } from '../../oci/index.ts';
import { type ByteString, toText } from '../../sys/index.ts';
import type { Toc, TocEntry, Tree, TreeNode } from '../contracts.ts';
import { joinPath } from './path-order.ts';

/**
 * A directory of a persistent tree. Trees share the directories in which they do not differ: `owner` is the change
 * that made this object and may still write to it; any other change copies it first.
 */
interface Directory {
  readonly owner: object;
  node: TreeNode;
  readonly children: Map<ByteString, Directory | TreeNode>;
  /** Names in byte order, made when asked for. */
  names?: readonly ByteString[];
}

const defaultFolder: TreeNode = { type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 };
const maxLinks = 255;

/** The root of `FROM scratch`: one empty directory, 0755, owned by root. */
export function emptyTree(): Tree {
  return new LayeredTree({ owner: {}, node: defaultFolder, children: new Map() });
}

/** The merged tree of layers, base first. */
export function treeOf(tocs: Iterable<Toc>): Tree {
  let tree = emptyTree();
  for (const toc of tocs) tree = tree.apply(toc);
  return tree;
}

class LayeredTree implements Tree {
  readonly #root: Directory;

  constructor(root: Directory) {
    this.#root = root;
  }

  get(path: ByteString): TreeNode | undefined {
    const found = this.#find(path);
    return found === undefined ? undefined : nodeOf(found);
  }

  list(path: ByteString): readonly ByteString[] {
    const found = this.#find(path);
    return found !== undefined && isDirectory(found) ? namesOf(found) : [];
  }

  resolve(path: ByteString, options: { readonly followLast?: boolean } = {}): ByteString {
    const rest = path.split('/').reverse() as ByteString[];
    const resolved: ByteString[] = [];
    let links = 0;
    for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        resolved.pop();
        continue;
      }
      resolved.push(name);
      const isLast = rest.every((later) => later === '' || later === '.');
      if (isLast && options.followLast !== true) continue;
      const node = this.get(resolved.join('/') as ByteString);
      if (node?.type !== 'symlink') continue;
      links += 1;
      if (links > maxLinks) throw linkLoop(path);
      const text = node.link ?? ('' as ByteString);
      if (text.startsWith('/')) resolved.length = 0;
      else resolved.pop();
      rest.push(...(text.split('/').reverse() as ByteString[]));
    }
    return resolved.join('/') as ByteString;
  }

  *walk(path: ByteString = '' as ByteString): Generator<readonly [ByteString, TreeNode]> {
    const found = this.#find(path);
    if (found === undefined || !isDirectory(found)) return;
    // A stack of its own: the depth of a hostile tree must not be the depth of generators.
    const stack: { readonly path: ByteString; readonly folder: Directory; next: number }[] = [
      { path, folder: found, next: 0 },
    ];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const name = namesOf(top.folder)[top.next++];
      if (name === undefined) {
        stack.pop();
        continue;
      }
      const child = top.folder.children.get(name)!;
      const childPath = joinPath(top.path, name);
      yield [childPath, nodeOf(child)];
      if (isDirectory(child)) stack.push({ path: childPath, folder: child, next: 0 });
    }
  }

  apply(toc: Toc): Tree {
    return new LayeredTree(new Change(this.#root, toc).run());
  }

  #find(path: ByteString): Directory | TreeNode | undefined {
    let here: Directory | TreeNode = this.#root;
    if (path === '') return here;
    for (const name of path.split('/') as ByteString[]) {
      if (!isDirectory(here)) return undefined;
      const next: Directory | TreeNode | undefined = here.children.get(name);
      if (next === undefined) return undefined;
      here = next;
    }
    return here;
  }
}

/** One layer put on top of a tree. Its entries are sorted, so that each directory is opened once. */
class Change {
  readonly #toc: Toc;
  readonly #owner = {};
  readonly #root: Directory;
  /** The directory of the last entry and those above it, all writable. */
  readonly #open: { readonly path: ByteString; readonly folder: Directory }[];

  constructor(root: Directory, toc: Toc) {
    this.#toc = toc;
    this.#root = this.#writable(root);
    this.#open = [{ path: '' as ByteString, folder: this.#root }];
  }

  run(): Directory {
    for (const entry of this.#toc.entries) this.#apply(entry);
    return this.#root;
  }

  #apply(entry: TocEntry): void {
    if (entry.path === '') {
      if (entry.type === 'dir') this.#root.node = folderNode(entry);
      if (entry.type === 'opaque') clear(this.#root);
      return;
    }
    const end = entry.path.lastIndexOf('/');
    const folder = this.#folder((end === -1 ? '' : entry.path.slice(0, end)) as ByteString);
    const name = entry.path.slice(end + 1) as ByteString;
    switch (entry.type) {
      case 'whiteout':
        remove(folder, name);
        break;
      case 'dir':
        this.#child(folder, name).node = folderNode(entry);
        break;
      case 'opaque':
        // Comes before everything that this layer has in the directory.
        clear(this.#child(folder, name));
        break;
      case 'hardlink':
        this.#link(folder, name, entry);
        break;
      default:
        put(folder, name, this.#leaf(entry));
    }
  }

  /** A writable directory at `path`; what is missing, or no directory, becomes one of default attributes. */
  #folder(path: ByteString): Directory {
    for (let top = this.#open.at(-1)!; ; top = this.#open.at(-1)!) {
      if (top.path === path) return top.folder;
      if (top.path === '' || path.startsWith(`${top.path}/`)) break;
      this.#open.pop();
    }
    let { path: here, folder } = this.#open.at(-1)!;
    for (const name of path.slice(here === '' ? 0 : here.length + 1).split('/') as ByteString[]) {
      folder = this.#child(folder, name);
      here = joinPath(here, name);
      this.#open.push({ path: here, folder });
    }
    return folder;
  }

  /** A writable directory in a writable directory. */
  #child(folder: Directory, name: ByteString): Directory {
    const existing = folder.children.get(name);
    if (existing !== undefined && isDirectory(existing)) {
      const child = this.#writable(existing);
      if (child !== existing) folder.children.set(name, child);
      return child;
    }
    const child: Directory = { owner: this.#owner, node: defaultFolder, children: new Map() };
    put(folder, name, child);
    return child;
  }

  #writable(folder: Directory): Directory {
    if (folder.owner === this.#owner) return folder;
    const copy: Directory = { owner: this.#owner, node: folder.node, children: new Map(folder.children) };
    if (folder.names !== undefined) copy.names = folder.names;
    return copy;
  }

  /** Gives an inode of this layer, or of one below (which peers make only with a base that had it), a further name. */
  #link(folder: Directory, name: ByteString, entry: TocEntry): void {
    const target = entry.link ?? ('' as ByteString);
    const end = target.lastIndexOf('/');
    const targetFolder = this.#existing((end === -1 ? '' : target.slice(0, end)) as ByteString);
    const targetName = target.slice(end + 1) as ByteString;
    const found = targetFolder?.children.get(targetName);
    if (targetFolder === undefined || found === undefined || isDirectory(found)) {
      throw new CairnError('ARCHIVE_INVALID', {
        message: `layer ${this.#toc.diffId}: "/${toText(entry.path)}" is a hard link to "/${toText(target)}", which is no file`,
      });
    }
    const shared = found.inode === undefined ? { ...found, inode: `${this.#toc.diffId}:${target}` } : found;
    if (shared !== found) targetFolder.children.set(targetName, shared);
    put(folder, name, shared);
  }

  /** The writable directory at a path where there is one already. */
  #existing(path: ByteString): Directory | undefined {
    let folder = this.#root;
    if (path === '') return folder;
    for (const name of path.split('/') as ByteString[]) {
      const next = folder.children.get(name);
      if (next === undefined || !isDirectory(next)) return undefined;
      folder = this.#child(folder, name);
    }
    return folder;
  }

  #leaf(entry: TocEntry): TreeNode {
    const node = leafNode(entry, this.#toc.diffId);
    return entry.xattrs === undefined ? node : { ...node, xattrs: entry.xattrs };
  }
}

/** One object literal per type, not spreads: the tree of an ordinary image has 30,000 of them. */
function leafNode(
  { type, mode, uid, gid, mtime, size, link, rdev, digest, offset }: TocEntry,
  layer: DiffId,
): TreeNode {
  if (type === 'file' && digest !== undefined && offset !== undefined) {
    return { type, mode, uid, gid, mtime, size, digest, content: { layer, offset } };
  }
  if (type === 'symlink' && link !== undefined) return { type, mode, uid, gid, mtime, size, link };
  if ((type === 'char' || type === 'block') && rdev !== undefined)
    return { type, mode, uid, gid, mtime, size, rdev };
  if (type === 'fifo') return { type, mode, uid, gid, mtime, size };
  throw new Error(`layer ${layer}: an entry of type ${type} lacks what its type needs`);
}

function folderNode({ mode, uid, gid, mtime, xattrs }: TocEntry): TreeNode {
  return { type: 'dir', mode, uid, gid, mtime, size: 0, ...(xattrs === undefined ? undefined : { xattrs }) };
}

function isDirectory(value: Directory | TreeNode): value is Directory {
  return 'children' in value;
}

function nodeOf(value: Directory | TreeNode): TreeNode {
  return isDirectory(value) ? value.node : value;
}

function namesOf(folder: Directory): readonly ByteString[] {
  folder.names ??= [...folder.children.keys()].sort();
  return folder.names;
}

function put(folder: Directory, name: ByteString, value: Directory | TreeNode): void {
  if (!folder.children.has(name)) delete folder.names;
  folder.children.set(name, value);
}

function remove(folder: Directory, name: ByteString): void {
  if (folder.children.delete(name)) delete folder.names;
}

function clear(folder: Directory): void {
  folder.children.clear();
  delete folder.names;
}

function linkLoop(path: ByteString): CairnError {
  return new CairnError('LINK_LOOP', {
    message: `"/${toText(path)}" cannot be resolved: more than ${maxLinks} symbolic links on the way`,
  });
}
