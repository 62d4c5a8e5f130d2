import {
  chmodSync,
  closeSync,
  constants,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeSync,
} from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CairnError } from '../../errors/index.ts';
import type { LayerStore, Tree, TreeNode } from '../../store/contracts.ts';
import { type ByteString, fsPath, makeNode, setMtime, setXattr, toBytes, toText } from '../../sys/index.ts';
import { readContent } from '../archive/read-content.ts';

export interface FolderExportOptions {
  readonly layers: Pick<LayerStore, 'content'>;
  /** Newer times become this one; infinity keeps them all. */
  readonly epoch: number;
  /** Remove what the folder has and the tree has not. */
  readonly isMirror: boolean;
  readonly signal: AbortSignal;
}

/** The event loop gets a turn after this many files. */
const sliceFiles = 256;

/**
 * Writes a root file system into a folder of the host: modes, times, links, special files and attributes are kept, owners are
 * those of the caller. What is there already is replaced, other files stay. No link below the folder is followed.
 * @param folder - absolute; made (0700, as BuildKit does) when it is missing.
 * @throws {CairnError} OUTPUT_UNWRITABLE
 */
export async function exportFolder(tree: Tree, folder: string, options: FolderExportOptions): Promise<void> {
  const writer = new FolderWriter(tree, folder, options);
  try {
    await writer.write();
  } catch (error) {
    throw unwritable(error, folder);
  }
}

class FolderWriter {
  readonly #tree: Tree;
  readonly #root: ByteString;
  readonly #options: FolderExportOptions;
  /** First paths of files with several names. */
  readonly #inodes = new Map<string, ByteString>();

  constructor(tree: Tree, folder: string, options: FolderExportOptions) {
    this.#tree = tree;
    this.#root = toBytes(folder);
    this.#options = options;
  }

  async write(): Promise<void> {
    mkdirSync(fsPath(this.#root), { recursive: true, mode: 0o700 });
    const folders: [ByteString, TreeNode][] = [];
    let count = 0;
    for (const [path, node] of this.#tree.walk()) {
      if (node.type === 'dir') {
        this.#makeFolder(path);
        folders.push([path, node]);
      } else await this.#replace(path, node);
      if (++count % sliceFiles === 0) await nextTurn();
      this.#options.signal.throwIfAborted();
    }
    if (this.#options.isMirror) this.#removeOthers(['' as ByteString, ...folders.map(([path]) => path)]);
    // Last, and from the bottom up: a folder that its owner may not write is filled by now, and filling changes times.
    for (const [path, node] of folders.reverse()) this.#finish(path, node);
  }

  #makeFolder(path: ByteString): void {
    const target = this.#at(path);
    const found = this.#find(path);
    if (found?.isDirectory()) {
      // An earlier export may have left it read-only.
      chmodSync(fsPath(target), (found.mode & 0o7777) | 0o700);
      return;
    }
    if (found) rmSync(fsPath(target));
    mkdirSync(fsPath(target), { mode: 0o700 });
  }

  async #replace(path: ByteString, node: TreeNode): Promise<void> {
    const target = this.#at(path);
    if (this.#find(path)) rmSync(fsPath(target), { recursive: true });
    const first = node.inode === undefined ? undefined : this.#inodes.get(node.inode);
    if (first !== undefined) {
      linkSync(fsPath(this.#at(first)), fsPath(target));
      return;
    }
    if (node.inode !== undefined) this.#inodes.set(node.inode, path);
    await this.#create(path, node);
    this.#finish(path, node);
  }

  async #create(path: ByteString, node: TreeNode): Promise<void> {
    const target = this.#at(path);
    switch (node.type) {
      case 'file':
        return this.#writeFile(target, node);
      case 'symlink':
        return symlinkSync(fsPath(node.link ?? ('' as ByteString)), fsPath(target));
      case 'fifo':
        return makeNode(target, 0o600, { type: 'fifo' });
      case 'char':
      case 'block':
        return makeNode(target, 0o600, { type: node.type, rdev: node.rdev ?? [0, 0] });
    }
  }

  async #writeFile(target: ByteString, node: TreeNode): Promise<void> {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const fd = openSync(fsPath(target), flags, 0o600);
    try {
      for await (const chunk of readContent(this.#options.layers.content(node), node.size))
        for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
    } finally {
      closeSync(fd);
    }
  }

  /** Mode, attributes and time, once nothing else changes it. */
  #finish(path: ByteString, node: TreeNode): void {
    const target = this.#at(path);
    for (const [name, value] of Object.entries(node.xattrs ?? {})) setXattrIfAllowed(target, name, value);
    if (node.type !== 'symlink') chmodSync(fsPath(target), node.mode);
    setMtime(target, Math.min(node.mtime, this.#options.epoch));
  }

  #removeOthers(folders: readonly ByteString[]): void {
    for (const folder of folders) {
      const wanted = new Set(this.#tree.list(folder));
      const found = readdirSync(fsPath(this.#at(folder)), { encoding: 'latin1' }) as ByteString[];
      for (const name of found)
        if (!wanted.has(name))
          rmSync(fsPath(`${this.#at(folder)}/${name}` as ByteString), { recursive: true });
    }
  }

  #find(path: ByteString): Stats | undefined {
    return lstatSync(fsPath(this.#at(path)), { throwIfNoEntry: false });
  }

  #at(path: ByteString): ByteString {
    return (path === '' ? this.#root : `${this.#root}/${path}`) as ByteString;
  }
}

/** An attribute that this user may not set, or the file system does not have, is left out: the files matter here. */
function setXattrIfAllowed(path: ByteString, name: string, value: ByteString): void {
  try {
    setXattr(path, name, value);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPERM' && code !== 'EACCES' && code !== 'EOPNOTSUPP' && code !== 'ENOTSUP') throw error;
  }
}

function unwritable(error: unknown, folder: string): unknown {
  const { code, syscall, path } = error as NodeJS.ErrnoException;
  if (error instanceof CairnError || code === undefined || syscall === undefined) return error;
  const isNode = syscall === 'mknod' && code === 'EPERM';
  const name = path === undefined ? folder : toText(path as ByteString);
  return new CairnError('OUTPUT_UNWRITABLE', {
    message: `cannot write ${name}: ${isNode ? 'this user may not make device nodes' : code}`,
    help: isNode
      ? 'export as a tar (-o type=tar,dest=FILE), which can hold devices, or remove them in the Dockerfile'
      : 'the folder after -o must be writable',
    cause: error,
  });
}
