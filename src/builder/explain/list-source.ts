import { hexOf } from '../../oci/index.ts';
import type { ByteString } from '../../sys/index.ts';
import { joinPath } from '../copy/resolve-path.ts';
import type { SourceNode, SourceTree } from '../copy/source-tree.ts';
import { type InputFile, inputFields } from './input-list.ts';

export interface ListOptions {
  /** What people call `path`. */
  readonly shown: string;
  /** A folder stands for its contents: its own attributes do not count. */
  readonly contentsOnly: boolean;
  readonly mtimeOf: (node: SourceNode) => number;
}

/** Everything that a copy of `path` takes from a tree, in its order: what `digestSource` digests, for people. */
export function listSource(tree: SourceTree, path: ByteString, options: ListOptions): readonly InputFile[] {
  const found: { readonly path: ByteString; readonly shown: string; readonly node: SourceNode }[] = [];
  const visit = (at: ByteString, shown: string, isTop: boolean): void => {
    const node = tree.get(at);
    if (node === undefined) return;
    if (!(isTop && options.contentsOnly && node.type === 'dir')) found.push({ path: at, shown, node });
    if (node.type !== 'dir') return;
    for (const name of tree.list(at)) visit(joinPath(at, name), joinPath(shown, name), false);
  };
  visit(path, options.shown, true);
  const groups = new Map<string, string[]>();
  for (const { node, shown } of found)
    if (node.inode !== undefined) groups.set(node.inode, [...(groups.get(node.inode) ?? []), shown]);
  return found.map(({ path: at, shown, node }) => {
    const names = node.inode === undefined ? [] : (groups.get(node.inode) ?? []);
    const links = names.length > 1 ? (names[0] ?? '') : '';
    const content = node.type === 'file' ? hexOf(tree.digest(at)) : (node.link ?? node.rdev?.join(':') ?? '');
    return inputFields({ ...node, mtime: options.mtimeOf(node), content, links, path: shown });
  });
}
