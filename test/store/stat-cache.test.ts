import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Digest, digestOf } from '../../src/oci/index.ts';
import { FileStatCache } from '../../src/store/stat-cache.ts';
import { StatTable } from '../../src/store/stat-table.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts } from './assemble.ts';

const second = 1_000_000_000n;

function cacheAt(root: string, context = root, now?: () => number): FileStatCache {
  const { paths, session } = openParts(root);
  return new FileStatCache(paths, session, { context, ...(now && { now }) });
}

function identity(
  ino: number,
  ctimeNs: bigint,
  extra: { size?: number; mtimeNs?: bigint; dev?: bigint } = {},
) {
  return { dev: extra.dev ?? 7n, ino, size: extra.size ?? 1, mtimeNs: extra.mtimeNs ?? ctimeNs, ctimeNs };
}

const old = identity(1, 5n * second + 123n);

test('a digest is found for exactly the same identity, also after saving', () => {
  const root = join(scratchFolder(), 'store');
  fs.mkdirSync(root);
  const cache = cacheAt(root);
  cache.put(old, digestOf('a'));
  const big = {
    dev: 2n ** 40n + 1n,
    ino: 2n ** 63n + 5n,
    size: 2n ** 50n,
    mtimeNs: -3n * second - 1n,
    ctimeNs: 77n,
  };
  cache.put(big, digestOf('b'));
  cache.save();
  for (const reader of [cache, cacheAt(root)]) {
    expect(reader.get(old)).toBe(digestOf('a'));
    expect(reader.get(big)).toBe(digestOf('b'));
    for (const other of [{ dev: 8n }, { ino: 2 }, { size: 2 }, { mtimeNs: 1n }, { ctimeNs: 1n }])
      expect(reader.get({ ...old, ...other }), Object.keys(other)[0]).toBe(null);
  }
});

test('what was read in the tick of its last change is not remembered, and makes an older entry forgotten', () => {
  const root = scratchFolder();
  const store = join(root, 'store');
  const path = join(root, 'file');
  const cache = cacheAt(store, root);
  cache.put(old, digestOf('old'));
  fs.writeFileSync(path, 'new');
  const fresh = fs.statSync(path, { bigint: true });
  cache.put(fresh, digestOf('new'));
  expect(cache.get(fresh)).toBe(null);
  cache.put({ ...fresh, dev: old.dev, ino: BigInt(old.ino) }, digestOf('new'));
  expect(cache.get(old)).toBe(null);
  cache.save();
  expect(cacheAt(store, root).get(old)).toBe(null);
});

test.each<readonly [string, bigint, bigint, boolean]>([
  ['fine times, 30 ms before', -30_000_001n, -30_000_001n, true],
  ['fine times, 10 ms before', -10_000_001n, -10_000_001n, false],
  ['fine times, the same moment', 0n, 0n, false],
  ['fine times, later (a clock that was set back)', 5n * second, 5n * second, false],
  ['an old mtime with a fresh ctime (touch -d)', -100n * second - 1n, 0n, false],
  ['a future mtime with an old ctime', 100n * second, -100n * second - 1n, false],
  ['whole seconds, 3 s before', -3n * second, -3n * second, true],
  ['whole seconds, 1 s before', -second, -second, false],
  ['whole mtime (set by tar), fine old ctime', -100n * second, -3n * second - 1n, true],
])('%s: remembered %s', (_name, mtimeOffset, ctimeOffset, isKept) => {
  const root = scratchFolder();
  const nowNs = 1_000_000n * second;
  const cache = cacheAt(join(root, 'store'), root, () => Number(nowNs / 1_000_000n));
  cache.get(old);
  const stat = identity(9, nowNs + ctimeOffset, { mtimeNs: nowNs + mtimeOffset });
  cache.put(stat, digestOf('x'));
  expect(cache.get(stat)).toBe(isKept ? digestOf('x') : null);
});

test('a clock that runs ahead of the file system does not make fresh files look old', () => {
  const root = scratchFolder();
  const cache = cacheAt(join(root, 'store'), root, () => Date.now() + 86_400_000);
  const path = join(root, 'file');
  fs.writeFileSync(path, 'x');
  cache.mark();
  const stat = fs.statSync(path, { bigint: true });
  cache.put(stat, digestOf('x'));
  expect(cache.get(stat)).toBe(null);
});

test('a folder that may lie on a server needs ten minutes', () => {
  const store = join(scratchFolder(), 'store');
  const cache = cacheAt(store, '/no/such/context', () => 1_000_000_000);
  const nowNs = 1_000_000n * second;
  const recent = identity(1, nowNs - 590n * second - 1n);
  const older = identity(2, nowNs - 610n * second - 1n);
  for (const stat of [recent, older]) cache.put(stat, digestOf('x'));
  expect(cache.get(recent)).toBe(null);
  expect(cache.get(older)).toBe(digestOf('x'));
});

test('reading, and saving nothing, makes no store', () => {
  const root = join(scratchFolder(), 'store');
  const first = cacheAt(root);
  first.put(old, digestOf('a'));
  first.save();
  const before = fs.readdirSync(join(root, 'leases'));
  const reader = cacheAt(root);
  reader.get(old);
  reader.save();
  expect(fs.readdirSync(join(root, 'leases'))).toEqual(before);
});

test('a damaged or cut-off file is as good as none', () => {
  const root = join(scratchFolder(), 'store');
  const cache = cacheAt(root);
  for (let i = 0; i < 500; i++) cache.put({ ...old, ino: i }, digestOf(String(i)));
  cache.save();
  const folder = join(root, 'cache/stat');
  const path = join(folder, fs.readdirSync(folder)[0] ?? '');
  const bytes = fs.readFileSync(path);
  for (const damage of [
    bytes.subarray(0, 10),
    bytes.subarray(0, -1),
    Buffer.alloc(0),
    Buffer.concat([bytes, Buffer.from('x')]),
  ]) {
    fs.writeFileSync(path, damage);
    expect(cacheAt(root).get(old)).toBe(null);
  }
  for (const at of [0, 9, 13, 40, bytes.length >> 1, bytes.length - 1]) {
    const flipped = Buffer.from(bytes);
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    expect(StatTable.decode(flipped), `${at}`).toBe(null);
  }
});

test('many entries are all found, those out of use for long are dropped', () => {
  const count = 20_000;
  const encode = (i: number) => {
    const bytes = Buffer.alloc(40);
    bytes.writeUInt32LE(i % 3, 0);
    bytes.writeUInt32LE(i, 8);
    bytes.writeUInt32LE(i, 16);
    return bytes;
  };
  const digest = (i: number) => Buffer.from(digestOf(String(i % 100)).slice(7), 'hex');
  let table = StatTable.empty();
  for (let i = 0; i < count; i++) table.set(encode(i), digest(i));
  for (let i = 0; i < count; i++) expect(table.get(encode(i))?.equals(digest(i))).toBe(true);
  for (let save = 0; save < 9; save++) {
    table = StatTable.decode(table.encode()) as StatTable;
    for (let i = 0; i < count; i += 2) table.get(encode(i));
  }
  expect(table.size).toBe(count);
  table = StatTable.decode(table.encode()) as StatTable;
  expect(table.size).toBe(count / 2);
  expect(table.get(encode(2))?.equals(digest(2))).toBe(true);
  expect(table.get(encode(3))).toBe(null);
});

test('contexts do not know of each other', () => {
  const root = join(scratchFolder(), 'store');
  const one = cacheAt(root, '/one');
  one.put(identity(1, 1n), 'x' as Digest);
  one.put(old, digestOf('a'));
  one.save();
  expect(cacheAt(root, '/two').get(old)).toBe(null);
});
