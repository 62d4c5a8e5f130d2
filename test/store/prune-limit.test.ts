import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type DiffId, type Digest, digestOf, hexOf } from '../../src/oci/index.ts';
import { pruneCache } from '../../src/store/prune.ts';
import { rootfsName } from '../../src/store/store-paths.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts } from './assemble.ts';

const step = (key: string, layer: Digest) => ({
  key: digestOf(key),
  layer: layer as DiffId,
  components: {},
  place: 'p',
  createdAt: '2026-01-01T00:00:00Z',
  durationMs: 1,
});

/** Records a, b, c of 10 bytes each, used in this order; and a process that still works with a. */
function store() {
  const root = join(scratchFolder(), 'store');
  const first = openParts(root);
  for (const key of ['a', 'b', 'c']) first.steps.put(step(key, first.blobs.put(key.repeat(10))));
  for (const [i, key] of ['a', 'b', 'c'].entries())
    fs.utimesSync(join(first.paths.steps, hexOf(digestOf(key))), i + 1, i + 1);
  first.session.close();
  const worker = openParts(root);
  worker.session.open();
  expect(worker.session.lease([digestOf('a'.repeat(10))])).toBe(true);
  return { parts: openParts(root), worker };
}

const keys = (steps: readonly { readonly key: Digest }[]) => steps.map(({ key }) => key);

test('a limit takes the least recently used that no living process needs', () => {
  const { parts, worker } = store();
  expect(keys(pruneCache(parts, { keepStorageBytes: 20 }).steps)).toEqual([digestOf('b')]);
  expect(keys(pruneCache(parts, { keepStorageBytes: 0 }).steps)).toEqual([digestOf('c')]);
  worker.session.close();
  expect(keys(pruneCache(parts, { keepStorageBytes: 0 }).steps)).toEqual([digestOf('a')]);
});

test('unpacked forms count, and go with their layers or alone', () => {
  const { parts, worker } = store();
  for (const key of ['a', 'b']) {
    const folder = join(parts.paths.rootfs, rootfsName(digestOf(key.repeat(10))));
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(join(folder, 'f'), 'x'.repeat(100_000));
  }
  const report = pruneCache(parts, { keepStorageBytes: 150_000 });
  // Made just now, the form of b is younger than all records: those go first, and b's form goes with b.
  expect(keys(report.steps)).toEqual([digestOf('b')]);
  expect(fs.readdirSync(parts.paths.rootfs)).toEqual([rootfsName(digestOf('a'.repeat(10)))]);
  worker.session.close();
  const alone = pruneCache(parts, { keepStorageBytes: 50_000 });
  expect(fs.readdirSync(parts.paths.rootfs)).toEqual([]);
  expect(keys(alone.steps)).toEqual([digestOf('a')]);
});
