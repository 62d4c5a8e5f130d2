import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  chainIdOf,
  type DiffId,
  type Digest,
  digestOf,
  fromHex,
  type ImageConfig,
  parseReference,
} from '../../src/oci/index.ts';
import { diskUsage } from '../../src/store/disk-usage.ts';
import { pruneCache, pruneImages } from '../../src/store/prune.ts';
import { type RemovedItem, removeImage } from '../../src/store/remove-image.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts, putImage } from './assemble.ts';

const ref = parseReference;
const other = fromHex('0'.repeat(64));

/** A store in which `work` ran and was closed: nothing is leased any more. */
function storeWith(work: (parts: ReturnType<typeof openParts>) => void): ReturnType<typeof openParts> {
  const first = openParts(join(scratchFolder(), 'store'));
  work(first);
  first.session.close();
  return openParts(first.paths.root);
}

const lines = (items: readonly RemovedItem[]) =>
  items.map((item) => (item.kind === 'untagged' ? `Untagged: ${item.name}` : `Deleted: ${item.digest}`));
const chain = (...texts: string[]) => chainIdOf(texts.map((text) => digestOf(text) as DiffId));

test('rmi of one of two tags only untags', () => {
  const parts = storeWith((first) =>
    first.images.tag(putImage(first, ['a']).manifestDigest, [ref('x:1'), ref('x:2')]),
  );
  expect(removeImage(parts, 'x:1')).toEqual({
    items: [{ kind: 'untagged', name: 'x:1' }],
    reclaimedBytes: 0,
  });
  expect(parts.images.list().map((image) => image.tags)).toEqual([['x:2']]);
});

test('rmi of the last tag lists the image and the layers that went, from the top', () => {
  const parts = storeWith((first) => {
    first.images.tag(putImage(first, ['base', 'mid', 'top']).manifestDigest, [ref('x')]);
    first.images.tag(putImage(first, ['base', 'else']).manifestDigest, [ref('y')]);
  });
  const { id } = parts.images.get('x');
  const report = removeImage(parts, 'x');
  expect(lines(report.items)).toEqual([
    'Untagged: x:latest',
    `Deleted: ${id}`,
    `Deleted: ${chain('base', 'mid', 'top')}`,
    `Deleted: ${chain('base', 'mid')}`,
  ]);
  expect(report.reclaimedBytes).toBeGreaterThan(6);
  expect(parts.blobs.has(digestOf('base'))).toBe(true);
  expect(parts.images.find('x')).toBe(null);
});

test('rmi keeps what the build cache holds, and does not claim otherwise', () => {
  const parts = storeWith((first) => {
    first.images.tag(putImage(first, ['cached']).manifestDigest, [ref('x')]);
    first.steps.put(step('k', digestOf('cached')));
  });
  const { id } = parts.images.get('x');
  expect(lines(removeImage(parts, 'x').items)).toEqual(['Untagged: x:latest', `Deleted: ${id}`]);
  expect(parts.blobs.has(digestOf('cached'))).toBe(true);
});

test('rmi by ID wants force for several names, and then removes all', () => {
  const parts = storeWith((first) =>
    first.images.tag(putImage(first, ['a']).manifestDigest, [ref('x:1'), ref('y:1')]),
  );
  const { id } = parts.images.get('x:1');
  const short = id.slice(7, 19);
  expect(() => removeImage(parts, short)).toThrow(
    expect.objectContaining({
      code: 'IMAGE_IN_USE',
      message: `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    }),
  );
  expect(lines(removeImage(parts, short, { force: true }).items)).toEqual([
    'Untagged: x:1',
    'Untagged: y:1',
    `Deleted: ${id}`,
    `Deleted: ${chain('a')}`,
  ]);
});

test('rmi of the last tag of a repository takes its digests along', () => {
  const digest = ref(`x@${other}`);
  const parts = storeWith((first) =>
    first.images.tag(putImage(first, ['a']).manifestDigest, [ref('x:1'), ref('x:2'), digest]),
  );
  expect(lines(removeImage(parts, 'x:1').items)).toEqual(['Untagged: x:1']);
  expect(lines(removeImage(parts, 'x:2').items).slice(0, 2)).toEqual([
    'Untagged: x:2',
    `Untagged: x@${other}`,
  ]);
  expect(parts.images.list()).toEqual([]);
});

test('rmi by digest takes that name, or what the repository has of an image that has no such name', () => {
  const parts = storeWith((first) => {
    first.images.tag(putImage(first, ['a']).manifestDigest, [ref('x:1'), ref('y:1'), ref(`x@${other}`)]);
  });
  expect(lines(removeImage(parts, `x@${other}`).items)).toEqual([`Untagged: x@${other}`]);
  const { manifestDigest } = parts.images.get('x:1');
  expect(lines(removeImage(parts, `x@${manifestDigest}`).items)).toEqual(['Untagged: x:1']);
  expect(parts.images.get('y:1').tags).toEqual(['y:1']);
});

test('rmi of a nameless image works by ID, of an unknown one is an error', () => {
  const parts = storeWith((first) => first.images.keepUntagged(putImage(first, ['a']).manifestDigest));
  const [image] = parts.images.list();
  expect(lines(removeImage(parts, image?.id ?? '').items)).toEqual([
    `Deleted: ${image?.id}`,
    `Deleted: ${chain('a')}`,
  ]);
  expect(() => removeImage(parts, 'x')).toThrow(expect.objectContaining({ code: 'IMAGE_NOT_FOUND' }));
});

test('two images with one config and different manifests go together', () => {
  const parts = storeWith((first) => {
    const image = putImage(first, ['a']);
    const manifest = first.blobs
      .readText(image.manifestDigest)
      .replace('"schemaVersion":2,', '"schemaVersion":2, ');
    first.images.tag(image.manifestDigest, [ref('x:1')]);
    first.images.tag(first.blobs.put(manifest), [ref('x:2')]);
  });
  expect(parts.images.list().map((image) => image.tags)).toEqual([['x:1', 'x:2']]);
  removeImage(parts, parts.images.get('x:1').id, { force: true });
  expect(parts.images.list()).toEqual([]);
  expect(fs.readdirSync(parts.paths.blobs)).toEqual([]);
});

function imageWith(first: ReturnType<typeof openParts>, text: string, extra: Partial<ImageConfig>) {
  return putImage(first, [text], extra).manifestDigest;
}

const labelled = (label: string) => ({ config: { Labels: { [label]: 'v' } } });

test('image prune removes what has no tag, with all also the rest, as filters allow', () => {
  const make = (first: ReturnType<typeof openParts>) => {
    first.images.tag(imageWith(first, 'tagged', {}), [ref('x')]);
    first.images.tag(imageWith(first, 'digest', {}), [ref(`x@${other}`)]);
    first.images.keepUntagged(imageWith(first, 'old', { created: '2020-01-01T00:00:00Z' }));
    first.images.keepUntagged(imageWith(first, 'new', { created: '2030-01-01T00:00:00Z' }));
    first.images.keepUntagged(imageWith(first, 'kept', labelled('keep')));
  };
  const layersAfter = (options: Parameters<typeof pruneImages>[1]) => {
    const parts = storeWith(make);
    pruneImages(parts, options);
    return ['tagged', 'digest', 'old', 'new', 'kept'].filter((text) => parts.blobs.has(digestOf(text)));
  };
  const not = { name: 'keep', isNegated: true };
  expect(layersAfter({})).toEqual(['tagged']);
  expect(layersAfter({ all: true })).toEqual([]);
  expect(layersAfter({ labels: [not] })).toEqual(['tagged', 'kept']);
  expect(layersAfter({ labels: [{ name: 'keep', value: 'v', isNegated: false }] })).toEqual([
    'tagged',
    'digest',
    'old',
    'new',
  ]);
  expect(layersAfter({ labels: [{ name: 'keep', value: 'w', isNegated: false }] })).toHaveLength(5);
  expect(layersAfter({ untilMs: Date.parse('2025-01-01') })).toEqual(['tagged', 'new']);
});

test('image prune says what it did', () => {
  const parts = storeWith((first) => {
    first.images.keepUntagged(putImage(first, ['base', 'a']).manifestDigest);
    first.images.keepUntagged(putImage(first, ['base', 'b']).manifestDigest);
  });
  const report = pruneImages(parts);
  const deleted = lines(report.items);
  expect(deleted).toHaveLength(2 + 2 + 1);
  expect(deleted.filter((line) => line === `Deleted: ${chain('base')}`)).toHaveLength(1);
  expect(pruneImages(parts)).toEqual({ items: [], reclaimedBytes: 0 });
});

const step = (key: string, layer: Digest) => ({
  key: digestOf(key),
  layer: layer as DiffId,
  components: {},
  place: 'p',
  createdAt: '2026-01-01T00:00:00Z',
  durationMs: 1,
});

/** Records a, b, c (10 bytes each, used at 1000, 2000, 3000 s); d shares its layer with an image. */
function cacheStore() {
  const parts = storeWith((first) => {
    for (const key of ['a', 'b', 'c']) first.steps.put(step(key, first.blobs.put(key.repeat(10))));
    first.images.tag(putImage(first, ['image layer']).manifestDigest, [ref('x')]);
    first.steps.put(step('d', digestOf('image layer')));
  });
  ['a', 'b', 'c', 'd'].forEach((key, index) => {
    const seconds = (index + 1) * 1000;
    fs.utimesSync(join(parts.paths.steps, digestOf(key).slice(7)), seconds, seconds);
  });
  return parts;
}

test('builder prune removes records that no image shares, all of them with all', () => {
  const parts = cacheStore();
  expect(pruneCache(parts)).toMatchObject({
    steps: [{ sizeBytes: 10, lastUsedMs: 1_000_000 }, {}, {}],
    reclaimedBytes: 30,
  });
  expect(parts.steps.get(digestOf('d'))?.layer).toBe(digestOf('image layer'));
  expect(pruneCache(parts, { all: true })).toMatchObject({
    steps: [{ key: digestOf('d'), sizeBytes: 0 }],
    reclaimedBytes: 0,
  });
  expect(parts.blobs.has(digestOf('image layer'))).toBe(true);
});

test.each<readonly [string, Parameters<typeof pruneCache>[1], readonly string[]]>([
  ['until a time', { untilMs: 2_000_000 }, ['a', 'b']],
  ['keeping 25 bytes', { keepStorageBytes: 25 }, ['a']],
  ['keeping 10 bytes', { keepStorageBytes: 10 }, ['a', 'b']],
  ['keeping nothing, but only what is old', { keepStorageBytes: 0, untilMs: 1_500_000 }, ['a']],
  ['keeping more than there is', { keepStorageBytes: 1000 }, []],
])('builder prune %s takes the least recently used', (_name, options, gone) => {
  expect(pruneCache(cacheStore(), options).steps.map((pruned) => pruned.key)).toEqual(
    gone.map((key) => digestOf(key)),
  );
});

test('a layer with two records counts once, and goes with the last', () => {
  const parts = storeWith((first) => {
    const layer = first.blobs.put('0123456789');
    for (const key of ['a', 'b']) first.steps.put(step(key, layer));
  });
  expect(pruneCache(parts, { keepStorageBytes: 10 }).steps).toEqual([]);
  const report = pruneCache(parts, { keepStorageBytes: 9 });
  expect(report.steps.map((pruned) => pruned.sizeBytes)).toEqual([10, 0]);
  expect(report.reclaimedBytes).toBe(10);
});

test('disk usage tells shared from unique, and what can be had back', () => {
  const parts = storeWith((first) => {
    first.images.tag(putImage(first, ['base-base', 'a']).manifestDigest, [ref('x')]);
    first.images.keepUntagged(putImage(first, ['base-base', 'bb']).manifestDigest);
    first.steps.put(step('k', first.blobs.put('ccc')));
    first.steps.put(step('shared', digestOf('a')));
  });
  const usage = diskUsage(parts);
  expect(usage.images).toMatchObject({ total: 2, active: 0, sizeBytes: 12, reclaimableBytes: 12 });
  expect(usage.images.items.map((item) => [item.sharedBytes, item.uniqueBytes]).sort()).toEqual([
    [9, 1],
    [9, 2],
  ]);
  expect(usage.buildCache).toMatchObject({ total: 2, active: 1, sizeBytes: 4, reclaimableBytes: 3 });
  expect(diskUsage(openParts(join(scratchFolder(), 'none'))).images).toMatchObject({
    total: 0,
    sizeBytes: 0,
  });
});
