import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import {
  collectGarbage,
  fsck,
  imageArchive,
  type LayerEntry,
  type LocalStore,
  loadImages,
  openStore,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

skipBecause(unlessRoot());

/** A file system of `size` (as mount's option has it) for one test. */
function smallDisk(size: string): string {
  const folder = scratchFolder();
  const disk = join(folder, 'disk');
  fs.mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', disk]);
  onTestFinished(() => void execFileSync('umount', [disk]));
  return disk;
}

function file(path: string, size: number): LayerEntry {
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1 };
  return {
    ...attributes,
    type: 'file',
    path: toBytes(path),
    size,
    source: { kind: 'bytes', bytes: Buffer.alloc(size, path) },
  };
}

async function put(store: LocalStore, name: string, size: number): Promise<void> {
  const { diffId } = await store.layers.write([file(name, size)]);
  const image = store.images.put({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
  });
  store.images.tag(image.manifestDigest, [parseReference(name)]);
}

test('a full disk is a coded error that costs nothing that was there, and what fits afterwards works', async () => {
  const disk = smallDisk('2m');
  const store = openStore({ root: join(disk, 'store') });
  await put(store, 'small', 300_000);
  await expect(put(store, 'large', 3_000_000)).rejects.toMatchObject({ code: 'STORE_FULL' });
  const other = openStore({ root: join(scratchFolder(), 'store') });
  await put(other, 'large', 3_000_000);
  const archive = imageArchive(other, [other.images.get('large')]);
  await expect(loadImages(store, archive)).rejects.toMatchObject({ code: 'STORE_FULL' });
  expect(fs.readdirSync(join(store.root, 'tmp', store.parts.session.name ?? ''))).toEqual([]);
  expect(store.images.list().map((image) => image.tags)).toEqual([['small:latest']]);
  await put(store, 'other', 300_000);
  store.close();
  other.close();
  const last = openStore({ root: store.root });
  collectGarbage(last);
  expect(await fsck(last)).toMatchObject({ findings: [], isClean: true });
  expect(last.images.list()).toHaveLength(2);
  last.close();
});

test('on a disk that is full to the last byte, a sweep still makes room', async () => {
  const disk = smallDisk('1m');
  const root = join(disk, 'store');
  const first = openStore({ root });
  await put(first, 'kept', 100_000);
  await first.layers.write([file('junk', 300_000)]);
  first.close();
  const filler = fs.openSync(join(disk, 'filler'), 'w');
  expect(() => {
    for (;;) fs.writeSync(filler, Buffer.alloc(4096));
  }).toThrow('ENOSPC');
  const store = openStore({ root });
  expect(collectGarbage(store).reclaimedBytes).toBeGreaterThan(300_000);
  expect(store.images.get('kept').tags).toEqual(['kept:latest']);
  store.close();
  fs.closeSync(filler);
});
