import { describe, expect, test } from 'vitest';
import { emptyTree } from '../../src/builder/copy/empty-tree.ts';
import { resolveOwner, resolveUser } from '../../src/builder/user.ts';
import { digestOf } from '../../src/oci/index.ts';
import type { LayerStore, Tree, TreeNode } from '../../src/store/contracts.ts';
import { toBytes } from '../../src/sys/index.ts';

const files: Record<string, string> = {
  'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\nnum:x:77:5::/n:\nbad line\n',
  'real/group': 'root:x:0:\nappgrp:x:1001:\nextra:x:2000:app,other\nmore:x:2001:app\n',
};
const node = (type: TreeNode['type'], size = 0): TreeNode => ({
  type,
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  size,
});

/** An image whose /etc/group is an absolute link. */
const tree = {
  get: (path: string) => {
    if (path === 'etc/group') return { ...node('symlink'), link: toBytes('/real/group') };
    const text = files[path];
    return text === undefined ? node('dir') : { ...node('file', text.length), digest: digestOf(text) };
  },
  list: () => ['etc', 'real'],
} as unknown as Tree;
const layers = {
  content: (file: TreeNode) => ({
    kind: 'bytes',
    bytes: Buffer.from(Object.values(files).find((text) => digestOf(text) === file.digest) ?? ''),
  }),
} as unknown as LayerStore;

describe('USER (rows I25, I26)', () => {
  test.each([
    ['', { uid: 0, gid: 0, additionalGids: [0], home: '/root' }],
    ['app', { uid: 1000, gid: 1001, additionalGids: [1001, 2000, 2001], home: '/home/app' }],
    ['1000', { uid: 1000, gid: 1001, additionalGids: [1001, 2000, 2001], home: '/home/app' }],
    ['app:extra', { uid: 1000, gid: 2000, additionalGids: [2000], home: '/home/app' }],
    ['app:0', { uid: 1000, gid: 0, additionalGids: [0], home: '/home/app' }],
    ['4242', { uid: 4242, gid: 0, additionalGids: [0], home: '/' }],
    ['4242:4242', { uid: 4242, gid: 4242, additionalGids: [4242], home: '/' }],
  ])('"%s"', (spec, expected) => {
    expect(resolveUser(layers, tree, spec)).toEqual(expected);
  });
  test.each(['nobody', 'app:nogroup'])('"%s" has no entry', (spec) => {
    expect(() => resolveUser(layers, tree, spec)).toThrow(
      expect.objectContaining({ code: 'USER_NOT_FOUND' }),
    );
  });
});

describe('--chown (row C25)', () => {
  test('a name cannot be looked up in an empty image', () => {
    expect(() => resolveOwner(layers, emptyTree, 'app')).toThrow(
      expect.objectContaining({ code: 'USER_NOT_FOUND' }),
    );
    expect(resolveOwner(layers, emptyTree, '1:2')).toEqual({ uid: 1, gid: 2 });
  });
  test.each([
    ['app', { uid: 1000, gid: 1001 }],
    ['app:extra', { uid: 1000, gid: 2000 }],
    ['55', { uid: 55, gid: 55 }],
    ['55:66', { uid: 55, gid: 66 }],
    ['nobody', { uid: 0, gid: 0 }],
    ['nobody:appgrp', { uid: 0, gid: 1001 }],
  ])('"%s"', (spec, expected) => {
    expect(resolveOwner(layers, tree, spec)).toEqual(expected);
  });
});
