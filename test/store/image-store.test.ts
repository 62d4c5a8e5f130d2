import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf, fromHex, parseReference } from '../../src/oci/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts, putImage } from './assemble.ts';

const ref = parseReference;

test('a tagged image is found by every way to name it', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['a']);
  parts.images.tag(image.manifestDigest, [
    ref('app:1'),
    ref('localhost:5000/x/app'),
    ref(`app@${fromHex('0'.repeat(64))}`),
  ]);
  const hex = image.id.slice(7);
  const names = ['app:1', 'docker.io/library/app:1', 'localhost:5000/x/app:latest', 'localhost:5000/x/app'];
  const ids = [image.id, hex, hex.slice(0, 12), `sha256:${hex.slice(0, 5)}`];
  const digests = [`app@sha256:${'0'.repeat(64)}`, `app@${image.manifestDigest}`];
  for (const name of [...names, ...ids, ...digests]) expect(parts.images.get(name).id, name).toBe(image.id);
  expect(parts.images.get('app:1').tags).toEqual(['app:1', 'localhost:5000/x/app:latest']);
  expect(parts.images.get('app:1').repoDigests).toEqual([`app@sha256:${'0'.repeat(64)}`]);
  for (const name of ['app', 'app:2', 'x/app', `other@${image.manifestDigest}`])
    expect(parts.images.find(name), name).toBe(null);
  expect(() => parts.images.get('nosuch')).toThrow(
    expect.objectContaining({ code: 'IMAGE_NOT_FOUND', message: 'No such image: nosuch:latest' }),
  );
  parts.session.close();
});

test('a prefix of several IDs is ambiguous', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  for (let i = 0; i < 20; i++) parts.images.keepUntagged(putImage(parts, [String(i)]).manifestDigest);
  const firsts = parts.images.list().map((record) => record.id.slice(7, 8));
  const twice = firsts.find((first, index) => firsts.indexOf(first) !== index) ?? '';
  expect(() => parts.images.get(twice)).toThrow(expect.objectContaining({ code: 'REFERENCE_AMBIGUOUS' }));
  parts.session.close();
});

test('a moved tag leaves its old image untagged, once', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const [one, two] = [putImage(parts, ['1']), putImage(parts, ['2'])];
  parts.images.tag(one.manifestDigest, [ref('a'), ref('b')]);
  parts.images.tag(two.manifestDigest, [ref('a'), ref('b')]);
  expect(parts.images.list().map((record) => [record.id, record.tags])).toEqual(
    expect.arrayContaining([
      [one.id, []],
      [two.id, ['a:latest', 'b:latest']],
    ]),
  );
  expect(JSON.parse(fs.readFileSync(parts.paths.index, 'utf8')).manifests).toHaveLength(3);
  parts.images.tag(one.manifestDigest, [ref('c')]);
  expect(JSON.parse(fs.readFileSync(parts.paths.index, 'utf8')).manifests).toHaveLength(3);
  parts.session.close();
});

test('untag removes a name, and keeps the image only when asked to', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['1']);
  parts.images.tag(image.manifestDigest, [ref('a'), ref('b')]);
  expect(parts.images.untag(ref('a'))).toBe(true);
  expect(parts.images.untag(ref('a'))).toBe(false);
  expect(parts.images.untag(ref('b'), { keepUntagged: true })).toBe(true);
  expect(parts.images.list().map((record) => record.tags)).toEqual([[]]);
  parts.images.remove(image.id);
  expect(parts.images.list()).toEqual([]);
  parts.session.close();
});

test('an entry has both names of a tag, and the layers of its manifest are uncompressed', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['layer']);
  parts.images.tag(image.manifestDigest, [ref('localhost:5000/x:1')]);
  const [entry] = JSON.parse(fs.readFileSync(parts.paths.index, 'utf8')).manifests;
  expect(entry.annotations).toEqual({
    'org.opencontainers.image.ref.name': 'localhost:5000/x:1',
    'io.containerd.image.name': 'localhost:5000/x:1',
  });
  expect(image.manifest.layers).toEqual([
    { mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: digestOf('layer'), size: 5 },
  ]);
  parts.session.close();
});

test('an image whose layer is missing cannot be put', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const config = {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers' as const, diff_ids: [digestOf('no') as never] },
  };
  expect(() => parts.images.put(config)).toThrow(expect.objectContaining({ code: 'BLOB_NOT_FOUND' }));
  parts.session.close();
});

test('a repeated build takes no lock and writes nothing', () => {
  const root = join(scratchFolder(), 'store');
  const first = openParts(root);
  const image = putImage(first, ['1']);
  first.images.tag(image.manifestDigest, [ref('a')]);
  first.session.close();
  const second = openParts(root);
  second.images.tag(putImage(second, ['1']).manifestDigest, [ref('a')]);
  expect(second.session.isOpen).toBe(false);
});

test('an image with a damaged manifest is left out of the list', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['1']);
  parts.images.tag(image.manifestDigest, [ref('a')]);
  parts.session.close();
  fs.chmodSync(parts.blobs.path(image.manifestDigest), 0o600);
  fs.writeFileSync(parts.blobs.path(image.manifestDigest), '{}');
  const again = openParts(parts.paths.root);
  expect(again.images.list()).toEqual([]);
  expect(() => again.images.get('a')).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }));
});
