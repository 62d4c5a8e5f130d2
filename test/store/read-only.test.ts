import * as fs from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import {
  collectGarbage,
  diskUsage,
  fsck,
  type LayerEntry,
  loadImages,
  openStore,
  removeImage,
  saveImages,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

/** Runs `work` as a user who may read the store at `root` but not write it. */
async function asReader(root: string, work: () => Promise<void>): Promise<void> {
  fs.chmodSync(join(root, '..'), 0o755);
  fs.chmodSync(root, 0o755);
  const isRoot = process.getuid?.() === 0;
  const closed = isRoot
    ? []
    : [root, ...fs.readdirSync(root).map((name) => join(root, name))].filter((path) =>
        fs.statSync(path).isDirectory(),
      );
  for (const path of closed) fs.chmodSync(path, 0o555);
  if (isRoot) process.seteuid?.(65534);
  try {
    await work();
  } finally {
    if (isRoot) process.seteuid?.(0);
    for (const path of closed) fs.chmodSync(path, 0o755);
  }
}

async function imageStore(): Promise<string> {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1 };
  const source = { kind: 'bytes', bytes: Buffer.from('hello') } as const;
  const entry: LayerEntry = { ...attributes, type: 'file', path: toBytes('a'), size: 5, source };
  const { diffId } = await store.layers.write([entry]);
  const image = store.images.put({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [diffId] },
  });
  store.images.tag(image.manifestDigest, [parseReference('app')]);
  store.close();
  return store.root;
}

test('who may only read lists, inspects, saves, checks and measures', async () => {
  const root = await imageStore();
  for (const name of fs.readdirSync(join(root, 'toc'))) fs.rmSync(join(root, 'toc', name));
  await asReader(root, async () => {
    const store = openStore({ root });
    const image = store.images.get('app');
    const [diffId] = image.config.rootfs.diff_ids;
    expect(store.layers.contentSize(diffId!)).toBe(5);
    expect(store.layers.tree([diffId!]).list(toBytes(''))).toEqual(['a']);
    const chunks: Buffer[] = [];
    const out = new Writable({ write: (chunk, _encoding, done) => done(void chunks.push(chunk)) });
    await saveImages(store, [image], out);
    expect(Buffer.concat(chunks).length).toBeGreaterThan(4000);
    expect(await fsck(store)).toMatchObject({ findings: [], isClean: true });
    expect(diskUsage(store).images.total).toBe(1);
    store.close();
  });
});

test('who may only read is told so when something would be written', async () => {
  const root = await imageStore();
  async function* archive() {
    yield Buffer.alloc(512, 'x');
  }
  await asReader(root, async () => {
    const store = openStore({ root });
    const expected = expect.objectContaining({ code: 'STORE_NOT_ACCESSIBLE' });
    expect(() => removeImage(store, 'app')).toThrow(expected);
    expect(() => collectGarbage(store)).toThrow(expected);
    expect(() => store.scratch()).toThrow(expected);
    expect(() => store.blobs.put('x')).toThrow(expected);
    expect(() => store.images.tag(store.images.get('app').manifestDigest, [parseReference('b')])).toThrow(
      expected,
    );
    await expect(fsck(store, { repair: true })).rejects.toMatchObject({ code: 'STORE_NOT_ACCESSIBLE' });
    await expect(store.layers.write([])).rejects.toMatchObject({ code: 'STORE_NOT_ACCESSIBLE' });
    await expect(loadImages(store, archive())).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
    const stats = store.statCache('/x');
    stats.put({ dev: 1, ino: 1, size: 1, mtimeNs: 1n, ctimeNs: 1n }, store.images.get('app').id);
    stats.save();
    store.close();
  });
});

test('who may not even read is told so', async () => {
  const root = await imageStore();
  if (process.getuid?.() !== 0) {
    fs.chmodSync(root, 0);
    expect(() => openStore({ root })).toThrow(expect.objectContaining({ code: 'STORE_NOT_ACCESSIBLE' }));
    fs.chmodSync(root, 0o700);
    return;
  }
  process.seteuid?.(65534);
  try {
    expect(() => openStore({ root })).toThrow(expect.objectContaining({ code: 'STORE_NOT_ACCESSIBLE' }));
  } finally {
    process.seteuid?.(0);
  }
});
