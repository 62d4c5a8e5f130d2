import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Descriptor, parseReference } from '../../src/oci/index.ts';
import { collectGarbage } from '../../src/store/collect-garbage.ts';
import { diskUsage } from '../../src/store/disk-usage.ts';
import { fsck } from '../../src/store/fsck.ts';
import { removeImage } from '../../src/store/remove-image.ts';
import type { StoreParts } from '../../src/store/store-parts.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts, putImage } from './assemble.ts';

const artifactType = 'application/vnd.in-toto+json';

function note(parts: StoreParts, text: string) {
  const digest = parts.blobs.put(text);
  const layers: Descriptor[] = [{ mediaType: artifactType, digest, size: text.length }];
  return { artifactType, layers };
}

function openImage(texts: readonly string[] = ['a']) {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, texts);
  parts.images.tag(image.manifestDigest, [parseReference('app')]);
  return { parts, image };
}

function blobCount(parts: StoreParts): number {
  return fs.readdirSync(parts.paths.blobs).length;
}

test('a referrer is found by its subject and its type, and is no image', () => {
  const { parts, image } = openImage();
  const digest = parts.images.attach(image.manifestDigest, note(parts, '{"a":1}'));
  expect(parts.images.referrers(image.manifestDigest).map((entry) => entry.digest)).toEqual([digest]);
  expect(parts.images.referrers(image.manifestDigest, 'text/x-other')).toEqual([]);
  expect(parts.images.list().map((record) => record.id)).toEqual([image.id]);
  expect(diskUsage(parts).images.total).toBe(1);
});

test('attaching the same again changes nothing; another one of its type takes its place', () => {
  const { parts, image } = openImage();
  const first = parts.images.attach(image.manifestDigest, note(parts, '{"a":1}'));
  const before = fs.readFileSync(parts.paths.index, 'utf8');
  expect(parts.images.attach(image.manifestDigest, note(parts, '{"a":1}'))).toBe(first);
  expect(fs.readFileSync(parts.paths.index, 'utf8')).toBe(before);
  const second = parts.images.attach(image.manifestDigest, note(parts, '{"a":2}'));
  expect(parts.images.referrers(image.manifestDigest).map((entry) => entry.digest)).toEqual([second]);
});

test('gc keeps a referrer as long as its subject is there, and a referrer of a referrer', () => {
  const { parts, image } = openImage();
  const digest = parts.images.attach(image.manifestDigest, note(parts, '{"a":1}'));
  parts.images.attach(digest, { ...note(parts, 'signature'), artifactType: 'application/vnd.signature' });
  parts.session.close();
  const count = blobCount(parts);
  expect(collectGarbage(openParts(parts.paths.root)).blobs).toEqual([]);
  expect(blobCount(parts)).toBe(count);
});

test('the last name of an image takes its referrers with it', async () => {
  const { parts, image } = openImage();
  parts.images.attach(image.manifestDigest, note(parts, '{"a":1}'));
  parts.session.close();
  const other = openParts(parts.paths.root);
  removeImage(other, 'app');
  expect(other.index.read()).toEqual([]);
  expect(blobCount(other)).toBe(0);
  expect((await fsck(other)).findings).toEqual([]);
  other.session.close();
});

test('fsck follows referrers, and repair takes a damaged one away without its image', async () => {
  const { parts, image } = openImage();
  const artifact = note(parts, '{"a":1}');
  parts.images.attach(image.manifestDigest, artifact);
  expect((await fsck(parts)).isClean).toBe(true);
  parts.session.close();
  fs.rmSync(parts.blobs.path(artifact.layers[0]!.digest));
  const other = openParts(parts.paths.root);
  expect((await fsck(other)).findings.map((finding) => finding.code)).toEqual(['BLOB_MISSING']);
  await fsck(other, { repair: true });
  expect(other.images.referrers(image.manifestDigest)).toEqual([]);
  expect(other.images.find('app')?.id).toBe(image.id);
  other.session.close();
});

test('an artifact whose blobs are missing cannot be attached', () => {
  const { parts, image } = openImage();
  const { layers } = note(parts, '{"a":1}');
  fs.rmSync(parts.blobs.path(layers[0]!.digest));
  expect(() => parts.images.attach(image.manifestDigest, { artifactType, layers })).toThrow(
    expect.objectContaining({ code: 'BLOB_NOT_FOUND' }),
  );
});
