import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DiffId, type Digest, digestOf, parseReference } from '../../src/oci/index.ts';
import { collectGarbage } from '../../src/store/collect-garbage.ts';
import type { StoreParts } from '../../src/store/store-parts.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts, putImage } from './assemble.ts';

/** Another process, as far as locks and leases go: its own descriptors. */
function inAnother<T>(parts: StoreParts, work: (other: ReturnType<typeof openParts>) => T): T {
  const other = openParts(parts.paths.root);
  try {
    return work(other);
  } finally {
    other.session.close();
  }
}

function blobsOf(parts: StoreParts): readonly string[] {
  return fs.readdirSync(parts.paths.blobs).sort();
}

const record = (key: string, layer: Digest) => ({
  key: digestOf(key),
  layer: layer as DiffId,
  components: { text: key },
  place: 'p',
  createdAt: '2026-01-01T00:00:00Z',
  durationMs: 1,
});

test('what images and cache records need stays, everything else goes', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const named = putImage(parts, ['a', 'b']);
  const nameless = putImage(parts, ['c']);
  parts.images.tag(named.manifestDigest, [parseReference('app')]);
  parts.images.keepUntagged(nameless.manifestDigest);
  putImage(parts, ['never kept']);
  const cached = parts.blobs.put('cached layer');
  parts.steps.put(record('k', cached));
  parts.blobs.put('junk');
  parts.session.close();
  const report = inAnother(parts, (other) => collectGarbage(other));
  expect(report.blobs.map((blob) => blob.digest)).toContain(digestOf('junk'));
  expect(report.blobs).toHaveLength(4);
  expect(blobsOf(parts)).toHaveLength(3 + 2 + 2 + 1);
  expect(parts.images.list()).toHaveLength(2);
});

test('gc on a folder without a store makes nothing', () => {
  const root = join(scratchFolder(), 'store');
  expect(collectGarbage(openParts(root)).blobs).toEqual([]);
  expect(fs.existsSync(root)).toBe(false);
});

test('what an open process wrote or leased stays until it closes', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const old = parts.blobs.put('old');
  parts.session.close();
  const worker = openParts(parts.paths.root);
  worker.blobs.put('new');
  expect(worker.session.lease([old])).toBe(true);
  expect(worker.session.lease([digestOf('absent')])).toBe(false);
  inAnother(parts, (other) => collectGarbage(other));
  expect(blobsOf(parts)).toHaveLength(2);
  worker.session.close();
  inAnother(parts, (other) => collectGarbage(other));
  expect(blobsOf(parts)).toEqual([]);
});

test('a lease asked for before the first write is taken with it, and its loss is noticed', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const layer = parts.blobs.put('layer');
  parts.steps.put(record('k', layer));
  parts.session.close();
  const lucky = openParts(parts.paths.root);
  const unlucky = openParts(parts.paths.root);
  expect(lucky.steps.get(digestOf('k'))?.layer).toBe(layer);
  expect(unlucky.steps.get(digestOf('k'))?.layer).toBe(layer);
  expect(lucky.session.isOpen).toBe(false);
  lucky.blobs.put('work');
  fs.rmSync(join(parts.paths.steps, digestOf('k').slice(7)));
  inAnother(parts, (other) => collectGarbage(other));
  expect(parts.blobs.has(layer)).toBe(true);
  lucky.session.close();
  inAnother(parts, (other) => collectGarbage(other));
  expect(() => unlucky.blobs.put('work')).toThrow(expect.objectContaining({ code: 'STORE_PRUNED' }));
  unlucky.session.close();
});

test('derived data without its blob goes, dead leases and their tmp folders too', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['kept']);
  parts.images.tag(image.manifestDigest, [parseReference('app')]);
  const kept = digestOf('kept').slice(7);
  const gone = digestOf('gone').slice(7);
  for (const hex of [kept, gone]) {
    fs.writeFileSync(join(parts.paths.toc, hex), 'toc');
    const unpacked = join(parts.paths.rootfs, hex.slice(0, 24));
    fs.mkdirSync(join(unpacked, 'etc/deep'), { recursive: true });
    // Images hold folders that keep even their owner from writing.
    for (const path of ['etc/deep', 'etc', '.']) fs.chmodSync(join(unpacked, path), 0o500);
  }
  parts.session.close();
  fs.writeFileSync(join(parts.paths.leases, '999999-dead'), `${digestOf('x')}\n`);
  fs.mkdirSync(join(parts.paths.tmp, '999999-dead', 'scratch'), { recursive: true });
  fs.mkdirSync(join(parts.paths.tmp, 'nobody'));
  const report = inAnother(parts, (other) => collectGarbage(other));
  expect(report).toMatchObject({ deadLeases: 1, left: [] });
  expect(fs.readdirSync(parts.paths.toc)).toEqual([kept]);
  expect(fs.readdirSync(parts.paths.rootfs)).toEqual([kept.slice(0, 24)]);
  expect(fs.readdirSync(parts.paths.tmp)).toEqual([]);
  expect(fs.readdirSync(parts.paths.leases)).toEqual([]);
  for (const path of ['.', 'etc', 'etc/deep'])
    fs.chmodSync(join(parts.paths.rootfs, kept.slice(0, 24), path), 0o700);
});

test('a record whose layer is gone counts as absent, and goes', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const layer = parts.blobs.put('layer');
  parts.steps.put(record('k', layer));
  fs.rmSync(parts.blobs.path(layer));
  const other = openParts(parts.paths.root);
  expect(other.steps.get(digestOf('k'))).toBe(null);
  collectGarbage(other);
  expect(fs.readdirSync(parts.paths.steps)).toEqual([]);
  expect(fs.readdirSync(parts.paths.places)).toEqual([]);
  other.session.close();
  parts.session.close();
});

test('nothing is removed while a manifest or the index cannot be trusted', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['a']);
  parts.images.tag(image.manifestDigest, [parseReference('app')]);
  parts.blobs.put('junk');
  parts.session.close();
  const path = parts.blobs.path(image.manifestDigest);
  const bytes = fs.readFileSync(path);
  fs.chmodSync(path, 0o600);
  fs.writeFileSync(path, Buffer.concat([bytes, Buffer.from(' ')]));
  const before = blobsOf(parts);
  const other = openParts(parts.paths.root);
  expect(() => collectGarbage(other)).toThrow(expect.objectContaining({ code: 'STORE_DAMAGED' }));
  fs.writeFileSync(path, bytes);
  fs.writeFileSync(parts.paths.index, '{"schemaVersion":2,"manifests":[');
  expect(() => collectGarbage(other)).toThrow(expect.objectContaining({ code: 'DOCUMENT_INVALID' }));
  expect(blobsOf(parts)).toEqual(before);
  other.session.close();
});
