import type { SourceNode, SourceTree } from '../../src/builder/copy/source-tree.ts';
import { digestOf } from '../../src/oci/index.ts';
import type { Tree } from '../../src/store/contracts.ts';
import { type ByteString, toBytes } from '../../src/sys/index.ts';

/**
 * A tree written down: `d/` a folder, `f` a file, `l -> t` a link, ` 700` its mode, ` =1` a hard link group. Folders
 * above a path need not be named.
 */
export function memorySource(lines: readonly string[]): SourceTree {
  const nodes = new Map<string, SourceNode>([['', folder(0o755)]]);
  for (const line of lines) {
    const match = /^(\S+?)(\/?)(?: -> (\S+))?(?: ([0-7]+))?(?: =(\S+))?$/.exec(line);
    if (!match) throw new Error(`not a line of a tree: ${line}`);
    const [, path = '', slash, link, mode, inode] = match;
    for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1))
      if (!nodes.has(path.slice(0, at))) nodes.set(path.slice(0, at), folder(0o755));
    const bits = mode ? Number.parseInt(mode, 8) : undefined;
    if (slash) nodes.set(path, folder(bits ?? 0o755));
    else if (link) nodes.set(path, { ...folder(0o777), type: 'symlink', link: toBytes(link) });
    else
      nodes.set(path, {
        ...folder(bits ?? 0o644),
        type: 'file',
        size: path.length,
        ...(inode ? { inode } : {}),
      });
  }
  return {
    get: (path) => nodes.get(path),
    list: (path) => {
      const prefix = path === '' ? '' : `${path}/`;
      const names = [...nodes.keys()]
        .filter((key) => key !== '' && key.startsWith(prefix))
        .map((key) => key.slice(prefix.length));
      return names.filter((name) => !name.includes('/')).sort() as ByteString[];
    },
    digest: (path) => digestOf(path),
    content: (path) => ({ kind: 'bytes', bytes: Buffer.from(path, 'latin1') }),
  };
}

/** The same as the root file system that a layer goes onto. */
export function memoryTree(lines: readonly string[]): Tree {
  const source = memorySource(lines);
  const unused = () => {
    throw new Error('not needed here');
  };
  return {
    get: (path) => source.get(path),
    list: (path) => source.list(path),
    resolve: unused,
    walk: unused,
    apply: unused,
  };
}

function folder(mode: number): SourceNode {
  return { type: 'dir', mode, uid: 0, gid: 0, mtime: 1, size: 0 };
}
