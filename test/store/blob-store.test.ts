import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/index.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts } from './assemble.ts';

test('a blob that was put is read back, and its file is read-only', async () => {
  const { blobs, session } = openParts(join(scratchFolder(), 'store'));
  const digest = blobs.put('hello');
  expect(digest).toBe(digestOf('hello'));
  expect(blobs.has(digest)).toBe(true);
  expect(blobs.size(digest)).toBe(5);
  expect(blobs.readText(digest)).toBe('hello');
  const chunks: Uint8Array[] = [];
  for await (const chunk of blobs.read(digest)) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toBe('hello');
  expect(fs.statSync(blobs.path(digest)).mode & 0o777).toBe(0o444);
  session.close();
});

test('a store that is only read is not made, and a root that is made is private', () => {
  const root = join(scratchFolder(), 'a', 'store');
  const { blobs, images, session } = openParts(root);
  expect(blobs.has(digestOf('x'))).toBe(false);
  expect(images.list()).toEqual([]);
  expect(images.find('x')).toBe(null);
  session.close();
  expect(fs.existsSync(root)).toBe(false);
  blobs.put('x');
  expect(fs.statSync(root).mode & 0o777).toBe(0o700);
  expect(JSON.parse(fs.readFileSync(join(root, 'oci-layout'), 'utf8'))).toEqual({
    imageLayoutVersion: '1.0.0',
  });
  session.close();
});

test('closing leaves no lease, no tmp folder and no temporary file', () => {
  const root = join(scratchFolder(), 'store');
  const { blobs, session } = openParts(root);
  blobs.create().write(Buffer.from('never committed'));
  blobs.put('x');
  expect(fs.readdirSync(join(root, 'leases'))).toHaveLength(1);
  session.close();
  session.close();
  expect(fs.readdirSync(join(root, 'leases'))).toEqual([]);
  expect(fs.readdirSync(join(root, 'tmp'))).toEqual([]);
  expect(fs.readdirSync(join(root, 'blobs/sha256'))).toHaveLength(1);
});

test('a writer stores nothing when the digest differs, or when it is aborted', () => {
  const root = join(scratchFolder(), 'store');
  const { blobs, session } = openParts(root);
  const writer = blobs.create();
  writer.write(Buffer.from('abc'));
  expect(() => writer.commit(digestOf('abd'))).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }));
  const other = blobs.create();
  other.write(Buffer.from('abc'));
  other.abort();
  expect(fs.readdirSync(join(root, 'blobs/sha256'))).toEqual([]);
  expect(fs.readdirSync(join(root, 'tmp', session.name ?? ''))).toEqual([]);
  session.close();
});

test('readers notice a flipped byte', async () => {
  const { blobs, session } = openParts(join(scratchFolder(), 'store'));
  const digest = blobs.put('hello');
  fs.chmodSync(blobs.path(digest), 0o600);
  fs.writeFileSync(blobs.path(digest), 'hellp');
  expect(() => blobs.readText(digest)).toThrow(expect.objectContaining({ code: 'DIGEST_MISMATCH' }));
  const drain = async () => {
    for await (const _ of blobs.read(digest));
  };
  await expect(drain()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  session.close();
});

test('putting a blob that a disk cut short writes it again', () => {
  const { blobs, session } = openParts(join(scratchFolder(), 'store'));
  const digest = blobs.put('hello');
  fs.chmodSync(blobs.path(digest), 0o600);
  fs.truncateSync(blobs.path(digest), 2);
  blobs.put('hello');
  expect(blobs.readText(digest)).toBe('hello');
  session.close();
});

test('a missing blob and one too large to be a document are coded errors', () => {
  const { blobs, session } = openParts(join(scratchFolder(), 'store'));
  expect(() => blobs.size(digestOf('no'))).toThrow(expect.objectContaining({ code: 'BLOB_NOT_FOUND' }));
  const digest = blobs.put('0123456789');
  expect(() => blobs.readText(digest, 9)).toThrow(expect.objectContaining({ code: 'DOCUMENT_INVALID' }));
  session.close();
});

test('a folder with other things in it is refused, a newer store too', () => {
  const folder = scratchFolder();
  fs.writeFileSync(join(folder, 'thesis.txt'), 'precious');
  expect(() => openParts(folder)).toThrow(expect.objectContaining({ code: 'STORE_INVALID' }));
  const root = join(scratchFolder(), 'store');
  const parts = openParts(root);
  parts.blobs.put('x');
  parts.session.close();
  fs.writeFileSync(join(root, 'cairn-store.json'), '{"format":99}');
  expect(() => openParts(root)).toThrow(expect.objectContaining({ code: 'STORE_TOO_NEW' }));
  fs.writeFileSync(join(root, 'cairn-store.json'), 'garbage');
  expect(() => openParts(root)).toThrow(expect.objectContaining({ code: 'STORE_INVALID' }));
});
