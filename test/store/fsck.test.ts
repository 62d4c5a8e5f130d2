import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf, hexOf, parseReference } from '../../src/oci/index.ts';
import {
  type FindingCode,
  fsck,
  type LayerEntry,
  type LocalStore,
  openStore,
} from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

async function imageStore(): Promise<string> {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const bytes = Buffer.from('hello');
  const entry: LayerEntry = {
    ...{ type: 'file', path: toBytes('a'), mode: 0o644, uid: 0, gid: 0, mtime: 1, size: 5 },
    source: { kind: 'bytes', bytes },
  };
  const toc = await store.layers.write([entry]);
  const image = store.images.put({
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [toc.diffId] },
  });
  store.images.tag(image.manifestDigest, [parseReference('app'), parseReference('app:2')]);
  const record = { components: {}, place: 'p', createdAt: '2026-01-01T00:00:00Z', durationMs: 1 };
  store.steps.put({ ...record, key: digestOf('k'), layer: toc.diffId });
  const stats = store.statCache('/');
  stats.put({ dev: 1, ino: 1, size: 1, mtimeNs: 1n, ctimeNs: 1n }, digestOf('x'));
  stats.save();
  const caches = await store.cacheMounts.acquire([{ namespace: '', id: '/cache', sharing: 'shared' }]);
  caches.release();
  store.close();
  return store.root;
}

function overwrite(path: string, content: string | Buffer): void {
  fs.rmSync(path);
  fs.writeFileSync(path, content);
}

const only = (folder: string) => join(folder, fs.readdirSync(folder)[0] ?? '');

/** Paths of the parts of the one image. */
function partsOf(store: LocalStore) {
  const image = store.images.get('app');
  const [layer] = image.config.rootfs.diff_ids;
  const blob = (digest: string) => join(store.root, 'blobs/sha256', digest.slice(7));
  return {
    manifest: blob(image.manifestDigest),
    config: blob(image.id),
    layer: blob(layer ?? ''),
    hex: hexOf(layer ?? digestOf('')),
  };
}

test('a sound store has no findings, and one that does not exist neither', async () => {
  const root = await imageStore();
  const store = openStore({ root });
  expect(await fsck(store)).toMatchObject({ findings: [], isClean: true, checkedBlobs: 3 });
  store.close();
  expect(await fsck(openStore({ root: join(scratchFolder(), 'none') }))).toMatchObject({
    findings: [],
    isClean: true,
  });
});

type Damage = (root: string, parts: ReturnType<typeof partsOf>) => void;

const damages: readonly (readonly [string, Damage, readonly FindingCode[]])[] = [
  [
    'a flipped byte in a layer',
    (_, { layer }) => {
      const bytes = fs.readFileSync(layer);
      bytes[600] = 1;
      overwrite(layer, bytes);
    },
    ['BLOB_DAMAGED', 'TOC_DAMAGED'],
  ],
  [
    'a layer cut short',
    (_, { layer }) => {
      const bytes = fs.readFileSync(layer);
      overwrite(layer, bytes.subarray(0, 700));
    },
    ['BLOB_DAMAGED', 'TOC_DAMAGED', 'SIZE_MISMATCH', 'SIZE_MISMATCH'],
  ],
  [
    'a missing layer',
    (_, { layer }) => fs.rmSync(layer),
    ['BLOB_MISSING', 'BLOB_MISSING', 'RECORD_WITHOUT_LAYER', 'TOC_WITHOUT_LAYER'],
  ],
  ['a missing config', (_, { config }) => fs.rmSync(config), ['BLOB_MISSING', 'BLOB_MISSING']],
  [
    'a damaged manifest',
    (_, { manifest }) => overwrite(manifest, fs.readFileSync(manifest, 'utf8').replace('sha256', 'sha257')),
    ['BLOB_DAMAGED'],
  ],
  ['a missing manifest', (_, { manifest }) => fs.rmSync(manifest), ['BLOB_MISSING', 'BLOB_MISSING']],
  ['an index that is no JSON', (root) => fs.writeFileSync(join(root, 'index.json'), '{'), ['INDEX_INVALID']],
  [
    'an index of another schema',
    (root) => fs.writeFileSync(join(root, 'index.json'), '{"schemaVersion":1}'),
    ['INDEX_INVALID'],
  ],
  [
    'a wrong size in the index',
    (root) => {
      const path = join(root, 'index.json');
      fs.writeFileSync(path, fs.readFileSync(path, 'utf8').replace(/"size":\d+/, '"size":1'));
    },
    ['SIZE_MISMATCH'],
  ],
  ['no oci-layout', (root) => fs.rmSync(join(root, 'oci-layout')), ['LAYOUT_INVALID']],
  [
    'a table of contents that lies',
    (root) => {
      const path = only(join(root, 'toc'));
      fs.writeFileSync(path, fs.readFileSync(path, 'utf8').replace('"a"', '"b"'));
    },
    ['TOC_DAMAGED'],
  ],
  [
    'a table of contents cut short (made again when needed)',
    (root) => fs.writeFileSync(only(join(root, 'toc')), '{'),
    [],
  ],
  [
    'a table of contents without a layer',
    (root) => fs.writeFileSync(join(root, 'toc', '0'.repeat(64)), ''),
    ['TOC_WITHOUT_LAYER'],
  ],
  [
    'an unpacked layer without its blob',
    (root) => fs.mkdirSync(join(root, 'rootfs', '0'.repeat(24))),
    ['ROOTFS_WITHOUT_LAYER'],
  ],
  [
    'an empty cache record',
    (root) => fs.writeFileSync(only(join(root, 'cache/steps')), ''),
    ['RECORD_INVALID'],
  ],
  [
    'a broken stat cache',
    (root) => fs.writeFileSync(only(join(root, 'cache/stat')), 'x'),
    ['STAT_CACHE_INVALID'],
  ],
  [
    'what a dead process left',
    (root) => {
      fs.mkdirSync(join(root, 'tmp/1-dead'));
      fs.writeFileSync(join(root, 'leases/1-dead'), '');
      fs.mkdirSync(join(root, 'tmp/2-dead'));
    },
    ['TMP_OF_DEAD', 'TMP_OF_DEAD', 'TMP_OF_DEAD'],
  ],
];

test.each(damages)('%s is found, and repaired', async (_name, damage, codes) => {
  const root = await imageStore();
  damage(root, partsOf(openStore({ root })));
  const store = openStore({ root });
  const found = await fsck(store);
  store.close();
  expect(found.findings.map((finding) => finding.code).sort()).toEqual([...codes].sort());
  expect(found.isClean).toBe(found.findings.every((finding) => finding.severity === 'leftover'));
  const repairing = openStore({ root });
  expect(await fsck(repairing, { repair: true })).toMatchObject({ isClean: true });
  repairing.close();
  const after = openStore({ root });
  expect(await fsck(after)).toMatchObject({ findings: [], isClean: true });
  after.close();
});

test('after a repair the images that are whole are still there, and a lost index is made again without names', async () => {
  const root = await imageStore();
  fs.writeFileSync(join(root, 'index.json'), 'garbage');
  const store = openStore({ root });
  await fsck(store, { repair: true });
  expect(store.images.list()).toMatchObject([{ tags: [] }]);
  expect(fs.readFileSync(join(root, 'logs/index.json.damaged'), 'utf8')).toBe('garbage');
  store.close();
});

test('files of others are reported and never removed', async () => {
  const root = await imageStore();
  const strays = ['notes.txt', 'blobs/sha512', 'cache/mine', 'blobs/sha256/README'].map((name) =>
    join(root, name),
  );
  for (const path of strays) fs.writeFileSync(path, 'x');
  const store = openStore({ root });
  const found = await fsck(store, { repair: true });
  expect(found.findings.map((finding) => [finding.code, finding.subject, finding.isRepaired]).sort()).toEqual(
    strays.map((path) => ['STRAY_FILE', path, false]).sort(),
  );
  expect(strays.every((path) => fs.existsSync(path))).toBe(true);
  store.close();
});

test('a check can be cancelled', async () => {
  const store = openStore({ root: await imageStore() });
  await expect(fsck(store, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'ABORTED' });
  store.close();
});
