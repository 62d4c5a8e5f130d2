import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { DiffId } from '../../src/oci/index.ts';
import {
  collectGarbage,
  type LayerEntry,
  type LocalStore,
  openStore,
  removeImage,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

skipBecause(unlessRoot());

const attributes = { mode: 0o640, uid: 12, gid: 34, mtime: 1000 };
const folder = (path: string): LayerEntry => ({
  ...attributes,
  mode: 0o755,
  type: 'dir',
  path: toBytes(path),
});
const file = (path: string, text: string): LayerEntry => ({
  ...attributes,
  type: 'file',
  path: toBytes(path),
  size: text.length,
  source: { kind: 'bytes', bytes: Buffer.from(text) },
});
const whiteout = (path: string): LayerEntry => ({ type: 'whiteout', path: toBytes(path) });

async function twoLayers(store: LocalStore): Promise<readonly [DiffId, DiffId]> {
  const base = await store.layers.write([folder('d'), file('d/a', 'one'), file('e', 'two')]);
  const top = await store.layers.write([folder('d'), whiteout('d/a'), file('d/b', 'three')]);
  return [base.diffId, top.diffId];
}

test('layers are unpacked once, in the form that overlay wants', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const diffIds = await twoLayers(store);
  const [base = '', top = ''] = await store.layers.unpacked(diffIds);
  expect(fs.readFileSync(join(base, 'd/a'), 'utf8')).toBe('one');
  expect(fs.statSync(join(base, 'd/a'))).toMatchObject({ uid: 12, gid: 34, mtimeMs: 1000_000 });
  expect(fs.lstatSync(join(top, 'd/a'))).toMatchObject({ rdev: 0 });
  expect(fs.lstatSync(join(top, 'd/a')).isCharacterDevice()).toBe(true);
  const inode = fs.statSync(base).ino;
  expect(await store.layers.unpacked(diffIds)).toEqual([base, top]);
  expect(fs.statSync(base).ino).toBe(inode);
  store.close();
  expect(fs.readdirSync(join(store.root, 'tmp'))).toEqual([]);
});

test('two processes that unpack at once agree on one directory', async () => {
  const root = join(scratchFolder(), 'store');
  const stores = [openStore({ root }), openStore({ root })];
  const diffIds = await twoLayers(stores[0] as LocalStore);
  const results = await Promise.all(
    stores.flatMap((store) => [store.layers.unpacked(diffIds), store.layers.unpacked(diffIds)]),
  );
  for (const result of results) expect(result).toEqual(results[0]);
  expect(fs.readdirSync(join(root, 'rootfs'))).toHaveLength(2);
  for (const store of stores) store.close();
  expect(fs.readdirSync(join(root, 'tmp'))).toEqual([]);
});

test('an unpacked layer stays while it is leased, and goes with its blob', async () => {
  const root = join(scratchFolder(), 'store');
  const user = openStore({ root });
  const diffIds = await twoLayers(user);
  const image = user.images.put({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: diffIds },
  });
  user.images.keepUntagged(image.manifestDigest);
  const paths = await user.layers.unpacked(diffIds);
  const other = openStore({ root });
  removeImage(other, image.id);
  expect(paths.every((path) => fs.existsSync(path))).toBe(true);
  user.close();
  collectGarbage(other);
  expect(fs.readdirSync(join(root, 'rootfs'))).toEqual([]);
  other.close();
});

test('a layer that leaves out its parent folders is unpacked for each parent it lies on', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const bases = [
    await store.layers.write([folder('d')]),
    await store.layers.write([{ ...folder('d'), mode: 0o700 } as LayerEntry]),
  ];
  const top = await store.layers.write([file('d/x', 'x')]);
  const modes: number[] = [];
  for (const base of bases) {
    const [, path = ''] = await store.layers.unpacked([base.diffId, top.diffId]);
    modes.push(fs.statSync(join(path, 'd')).mode & 0o777);
  }
  expect(modes).toEqual([0o755, 0o700]);
  store.close();
});

test('a missing layer is a coded error, and nothing is left of it', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const [base, top] = await twoLayers(store);
  fs.rmSync(store.blobs.path(top));
  const fresh = openStore({ root: store.root });
  await expect(fresh.layers.unpacked([base, top])).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' });
  expect(fs.readdirSync(join(store.root, 'rootfs'))).toEqual([]);
  fresh.close();
  store.close();
});
