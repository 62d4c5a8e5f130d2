import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { digestOf } from '../../src/oci/index.ts';
import { type LayerEntry, openStore } from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const attributes = { mode: 0o644, uid: 0, gid: 0, mtime: 1 };

function file(path: string, text: string): LayerEntry {
  return {
    ...attributes,
    type: 'file',
    path: toBytes(path),
    size: text.length,
    source: { kind: 'bytes', bytes: Buffer.from(text) },
  };
}

test('a written layer has its table of contents at once, and again after that was deleted', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const toc = await store.layers.write([file('a', 'hello'), file('b', 'you')]);
  expect(store.blobs.has(toc.diffId)).toBe(true);
  expect(toc.contentSize).toBe(8);
  const path = join(store.root, 'toc', toc.diffId.slice(7));
  const stored = fs.readFileSync(path, 'utf8');
  store.close();
  for (const damage of [
    '',
    '{"version":1',
    stored.replace('"a"', '"c"').replace(toc.diffId, digestOf('x')),
  ]) {
    fs.writeFileSync(path, damage);
    const reader = openStore({ root: store.root });
    expect(reader.layers.toc(toc.diffId)).toEqual(toc);
    expect(reader.layers.contentSize(toc.diffId)).toBe(8);
  }
  fs.rmSync(path);
  const reader = openStore({ root: store.root });
  expect(reader.layers.toc(toc.diffId)).toEqual(toc);
  expect(fs.existsSync(path)).toBe(false);
  reader.blobs.put('work');
  expect(openStore({ root: store.root }).layers.contentSize(toc.diffId)).toBe(8);
  reader.close();
});

test('trees are merged over layers, and content is found in the blob', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const base = await store.layers.write([file('a', 'old'), file('b', 'kept')]);
  const top = await store.layers.write([file('a', 'new!'), { type: 'whiteout', path: toBytes('b') }]);
  const tree = store.layers.tree([base.diffId, top.diffId]);
  expect(tree.list(toBytes(''))).toEqual(['a']);
  const source = store.layers.content(tree.get(toBytes('a'))!);
  expect(source.kind).toBe('slice');
  if (source.kind === 'slice')
    expect(
      fs
        .readFileSync(source.path)
        .subarray(source.offset, source.offset + 4)
        .toString(),
    ).toBe('new!');
  expect(store.layers.tree([base.diffId, top.diffId])).toBe(tree);
  expect(store.layers.tree([]).list(toBytes(''))).toEqual([]);
  store.close();
});

test('an adopted tar keeps its bytes; a wrong digest or a broken tar leaves nothing', async () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const toc = await store.layers.write([file('a', 'hello')]);
  const tar = fs.readFileSync(store.blobs.path(toc.diffId));
  store.close();
  const other = openStore({ root: join(scratchFolder(), 'store') });
  async function* chunks(bytes: Buffer) {
    for (let at = 0; at < bytes.length; at += 700) yield bytes.subarray(at, at + 700);
  }
  const wrong = digestOf('x') as typeof toc.diffId;
  await expect(other.layers.adopt(chunks(tar), wrong)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  await expect(other.layers.adopt(chunks(tar.subarray(0, 600)))).rejects.toMatchObject({
    code: 'ARCHIVE_INVALID',
  });
  expect(fs.readdirSync(join(other.root, 'blobs/sha256'))).toEqual([]);
  expect(await other.layers.adopt(chunks(tar), toc.diffId)).toEqual(toc);
  other.close();
});

test('others get a turn while a large file is packed', async () => {
  const folder = scratchFolder();
  const path = join(folder, 'large');
  fs.writeFileSync(path, Buffer.alloc(16 << 20, 1));
  const store = openStore({ root: join(folder, 'store') });
  let turns = 0;
  let isDone = false;
  const count = () => {
    turns += 1;
    if (!isDone) setImmediate(count);
  };
  setImmediate(count);
  const source = { kind: 'path', path: toBytes(path) } as const;
  const toc = await store.layers.write([
    { ...attributes, type: 'file', path: toBytes('large'), size: 16 << 20, source },
  ]);
  isDone = true;
  expect(turns).toBeGreaterThanOrEqual(15);
  expect(toc.contentSize).toBe(16 << 20);
  store.close();
});

test('scratch folders are private and go with the store', () => {
  const store = openStore({ root: join(scratchFolder(), 'store') });
  const [one, two] = [store.scratch(), store.scratch()];
  expect(one).not.toBe(two);
  expect(fs.statSync(one).mode & 0o777).toBe(0o700);
  fs.mkdirSync(join(one, 'locked', 'in'), { recursive: true });
  fs.chmodSync(join(one, 'locked'), 0);
  store.close();
  expect(fs.readdirSync(join(store.root, 'tmp'))).toEqual([]);
});
