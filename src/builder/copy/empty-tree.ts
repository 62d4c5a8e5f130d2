import type { Tree, TreeNode } from '../../store/contracts.ts';

const root: TreeNode = { type: 'dir', mode: 0o755, uid: 0, gid: 0, mtime: 0, size: 0 };

/** The root file system of `FROM scratch`. */
export const emptyTree: Tree = {
  get: (path) => (path === '' ? root : undefined),
  list: () => [],
  resolve: (path) => path,
  walk: () => [],
  apply: () => {
    throw new Error('the empty tree takes no layers');
  },
};
