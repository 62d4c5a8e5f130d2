import type { ByteString } from '../../sys/index.ts';
import type { Tree, TreeNode } from '../contracts.ts';
import { encodeHeader, endMarkerSize, paddingAfter, type TarHeader } from '../layer/tar-writer.ts';

export interface TreeArchiveOptions {
  /** The bytes of a file. */
  readonly read: (node: TreeNode) => AsyncIterable<Uint8Array>;
  /** Newer times become this one; infinity keeps them all. */
  readonly epoch: number;
  /** Owners are kept; else everything is root's. */
  readonly keepOwners?: boolean;
}

/** Where a file system stands in an archive: at its root, or in a folder. */
export interface PlacedTree {
  readonly tree: Tree;
  /** Relative, without a slash at its ends; '' for the root. */
  readonly folder: string;
}

const flags: Readonly<Record<TreeNode['type'], TarHeader['flag']>> = {
  file: '0',
  symlink: '2',
  char: '3',
  block: '4',
  dir: '5',
  fifo: '6',
};

/** The tar of whole file systems, in path order, in constant memory; the same trees give the same bytes. */
export async function* archiveTrees(
  trees: readonly PlacedTree[],
  options: TreeArchiveOptions,
): AsyncGenerator<Uint8Array> {
  for (const { tree, folder } of trees) {
    if (folder !== '')
      yield encodeHeader({
        ...{ name: `${folder}/` as ByteString, flag: '5', mode: 0o755, uid: 0, gid: 0, size: 0 },
        mtime: Number.isFinite(options.epoch) ? options.epoch : 0,
      });
    yield* archiveTree(tree, folder === '' ? '' : `${folder}/`, options);
  }
  yield Buffer.alloc(endMarkerSize);
}

async function* archiveTree(
  tree: Tree,
  prefix: string,
  options: TreeArchiveOptions,
): AsyncGenerator<Uint8Array> {
  const firstNames = new Map<string, ByteString>();
  for (const [path, node] of tree.walk()) {
    const name = `${prefix}${path}` as ByteString;
    const first = node.inode === undefined ? undefined : firstNames.get(node.inode);
    if (first === undefined && node.inode !== undefined) firstNames.set(node.inode, name);
    yield encodeHeader(headerOf(node, name, first, options));
    if (node.type !== 'file' || first !== undefined) continue;
    let written = 0;
    for await (const chunk of options.read(node)) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== node.size) throw new Error(`${name} has ${written} bytes, not ${node.size}`);
    const padding = paddingAfter(node.size);
    if (padding > 0) yield Buffer.alloc(padding);
  }
}

function headerOf(
  node: TreeNode,
  name: ByteString,
  first: ByteString | undefined,
  options: TreeArchiveOptions,
): TarHeader {
  const { mode, uid, gid, mtime, link, rdev, xattrs } = node;
  const owner = options.keepOwners ? { uid, gid } : { uid: 0, gid: 0 };
  const common = { mode, ...owner, mtime: Math.min(mtime, options.epoch) };
  if (first !== undefined) return { ...common, name, flag: '1', size: 0, link: first };
  return {
    ...common,
    name: (node.type === 'dir' ? `${name}/` : name) as ByteString,
    flag: flags[node.type],
    size: node.type === 'file' ? node.size : 0,
    ...(link === undefined ? {} : { link }),
    ...(rdev === undefined ? {} : { rdev }),
    ...(xattrs === undefined ? {} : { xattrs }),
  };
}
