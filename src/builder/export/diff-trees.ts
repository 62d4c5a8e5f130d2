import type { LayerEntry, LayerStore, Tree, TreeNode } from '../../store/contracts.ts';
import type { ByteString } from '../../sys/index.ts';

/**
 * The one layer that makes `tree` of `base`, in canonical order. All names of a file with several come along when one of them is
 * new or changed, as the kernel's overlay would have it.
 */
export function diffTrees(
  base: Tree,
  tree: Tree,
  layers: Pick<LayerStore, 'content'>,
): readonly LayerEntry[] {
  return new TreeDiff(base, tree, layers).entries();
}

class TreeDiff {
  readonly #base: Tree;
  readonly #tree: Tree;
  readonly #layers: Pick<LayerStore, 'content'>;
  readonly #entries: LayerEntry[] = [];
  /** First names of files with several that are in the layer. */
  readonly #firstNames = new Map<string, ByteString>();
  /** Files with several names of which one at least is not as it was. */
  readonly #changedInodes: ReadonlySet<string>;

  constructor(base: Tree, tree: Tree, layers: Pick<LayerStore, 'content'>) {
    this.#base = base;
    this.#tree = tree;
    this.#layers = layers;
    this.#changedInodes = changedInodes(base, tree);
  }

  entries(): readonly LayerEntry[] {
    const root = '' as ByteString;
    const [before, after] = [this.#base.get(root), this.#tree.get(root)];
    if (after && before && !sameNode(before, after)) this.#entries.push(entryOf(root, after, this.#layers));
    this.#compareFolder(root, true);
    return this.#entries;
  }

  /** @param existed - the base has a directory there. */
  #compareFolder(folder: ByteString, existed: boolean): void {
    const names = new Set([...this.#tree.list(folder), ...(existed ? this.#base.list(folder) : [])]);
    for (const name of [...names].sort()) {
      const path = (folder === '' ? name : `${folder}/${name}`) as ByteString;
      const before = existed ? this.#base.get(path) : undefined;
      const after = this.#tree.get(path);
      if (after === undefined) this.#entries.push({ type: 'whiteout', path });
      else this.#comparePath(path, before, after);
    }
  }

  #comparePath(path: ByteString, before: TreeNode | undefined, after: TreeNode): void {
    const isInChangedGroup = after.inode !== undefined && this.#changedInodes.has(after.inode);
    if (before === undefined || isInChangedGroup || !sameNode(before, after)) this.#add(path, after);
    if (after.type === 'dir') this.#compareFolder(path, before?.type === 'dir');
  }

  #add(path: ByteString, node: TreeNode): void {
    const target = node.inode === undefined ? undefined : this.#firstNames.get(node.inode);
    if (target !== undefined) {
      this.#entries.push({ type: 'hardlink', path, target });
      return;
    }
    if (node.inode !== undefined) this.#firstNames.set(node.inode, path);
    this.#entries.push(entryOf(path, node, this.#layers));
  }
}

function changedInodes(base: Tree, tree: Tree): ReadonlySet<string> {
  const groups = new Map<string, ByteString[]>();
  for (const [path, node] of tree.walk()) {
    if (node.inode === undefined) continue;
    const names = groups.get(node.inode);
    if (names) names.push(path);
    else groups.set(node.inode, [path]);
  }
  const changed = new Set<string>();
  for (const [inode, names] of groups) {
    const old = names.map((path) => base.get(path));
    const first = old[0];
    const isSame = names.every((path, i) => {
      const [before, after] = [old[i], tree.get(path)];
      return before !== undefined && after !== undefined && sameNode(before, after);
    });
    if (!isSame || old.some((node) => node?.inode !== first?.inode)) changed.add(inode);
  }
  return changed;
}

function sameNode(a: TreeNode, b: TreeNode): boolean {
  return describe(a) === describe(b);
}

function describe({ type, mode, uid, gid, mtime, size, link, rdev, xattrs, digest }: TreeNode): string {
  const attributes = Object.entries(xattrs ?? {}).sort(([x], [y]) => (x < y ? -1 : 1));
  const content = type === 'file' ? [size, digest] : [];
  return JSON.stringify([type, mode, uid, gid, mtime, link ?? '', rdev ?? [], attributes, content]);
}

function entryOf(path: ByteString, node: TreeNode, layers: Pick<LayerStore, 'content'>): LayerEntry {
  const { type, mode, uid, gid, mtime, size, link, rdev, xattrs, digest } = node;
  const common = { path, mode, uid, gid, mtime, ...(xattrs ? { xattrs } : {}) };
  switch (type) {
    case 'file':
      return { ...common, type, size, source: layers.content(node), ...(digest ? { digest } : {}) };
    case 'symlink':
      return { ...common, type, link: link ?? ('' as ByteString) };
    case 'char':
    case 'block':
      return { ...common, type, rdev: rdev ?? [0, 0] };
    case 'dir':
    case 'fifo':
      return { ...common, type };
  }
}
