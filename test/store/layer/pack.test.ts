import { createHash } from 'node:crypto';
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../../src/oci/index.ts';
import type { LayerEntry } from '../../../src/store/contracts.ts';
import {
  comparePaths,
  decodeToc,
  encodeToc,
  packLayer,
  sortEntries,
  TocBuilder,
} from '../../../src/store/layer/index.ts';
import { type ByteString, toBytes } from '../../../src/sys/index.ts';
import { packBytes } from '../../support/pack-bytes.ts';
import { randomFrom, randomLayer } from '../../support/random-layer.ts';
import { scratchFolder } from '../../support/scratch.ts';

const b = (text: string): ByteString => toBytes(text);
const plain = { mode: 0o644, uid: 0, gid: 0, mtime: 0 };
const file = (path: string, content: string): LayerEntry & { type: 'file' } => ({
  type: 'file',
  path: b(path),
  ...plain,
  size: content.length,
  source: { kind: 'bytes', bytes: Buffer.from(content) },
});

test('an empty layer is 1024 zero bytes, the layer that everyone knows', () => {
  const { toc, tar } = packBytes([]);
  expect(tar).toEqual(Buffer.alloc(1024));
  expect(toc).toEqual({
    diffId: 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
    tarSize: 1024,
    contentSize: 0,
    entries: [],
  });
});

test('the bytes of a small layer are these, in every release of this format', () => {
  const { toc } = packBytes([
    { type: 'dir', path: b(''), ...plain, mode: 0o755 },
    { type: 'dir', path: b('etc'), ...plain, mode: 0o755, uid: 4_000_000, mtime: -5 },
    { ...file('etc/a', 'hello'), xattrs: { 'user.k': b('v'), 'security.selinux': b('x') } },
    { type: 'hardlink', path: b('etc/b'), target: b('etc/a') },
    { type: 'whiteout', path: b('etc/gone') },
    { type: 'symlink', path: b('etc/l'), ...plain, link: b('x'.repeat(101)) },
    { type: 'char', path: b('null'), ...plain, mode: 0o666, rdev: [1, 3] },
    { type: 'fifo', path: b('pipe'), ...plain },
  ]);
  expect(toc.diffId).toMatchInlineSnapshot(
    `"sha256:f7a318479fa5e58462904ab9ba162cc0ba52b8d733406e44f60bd9e74a890130"`,
  );
});

describe('random layers', () => {
  test.each(Array.from({ length: 60 }, (_, seed) => seed))(
    'seed %i: a reader of the tar sees the same table',
    (seed) => {
      const { toc, tar } = packBytes(randomLayer(seed, { whiteouts: true }));
      const random = randomFrom(seed);
      const builder = new TocBuilder();
      for (let at = 0; at < tar.length; ) {
        const size = 1 + random(2000);
        builder.write(tar.subarray(at, at + size));
        at += size;
      }
      const read = builder.finish();
      expect(read).toEqual(toc);
      expect(decodeToc(encodeToc(toc))).toEqual(toc);
      for (const entry of toc.entries) {
        if (entry.type === 'file') {
          expect(digestOf(tar.subarray(entry.offset, entry.offset! + entry.size))).toBe(entry.digest);
        }
      }
      expect(toc.diffId).toBe(`sha256:${createHash('sha256').update(tar).digest('hex')}`);
    },
  );

  test.each(Array.from({ length: 10 }, (_, seed) => seed))(
    'seed %i: tar-stream reads the same members',
    async (seed) => {
      const { toc, tar } = packBytes(randomLayer(seed, { whiteouts: false }));
      const { extract } = createRequire(import.meta.url)('tar-stream') as typeof import('tar-stream');
      const seen: unknown[] = [];
      for await (const member of Readable.from([tar]).pipe(extract())) {
        const { type, mode, uid, size, pax } = member.header;
        // It leaves large ids to its caller.
        seen.push({ type, mode, uid: Number((pax as { uid?: string } | null)?.uid ?? uid), size });
        member.resume();
      }
      const names = {
        file: 'file',
        dir: 'directory',
        symlink: 'symlink',
        hardlink: 'link',
        fifo: 'fifo',
        char: 'character-device',
        block: 'block-device',
        whiteout: 'file',
        opaque: 'file',
      };
      expect(seen).toEqual(
        toc.entries.map(({ type, mode, uid, size }) => ({ type: names[type], mode, uid, size })),
      );
    },
  );
});

describe('order', () => {
  test('is by component in bytes, so that contents follow their directory', () => {
    const sorted = ['', 'a', 'a/b', 'a/b/c', 'a/é', 'a b', 'a-b', 'a.b', 'a.b/c', 'ab', 'é'].map(b);
    expect(sortEntries([...sorted].reverse().map((path) => ({ path }))).map(({ path }) => path)).toEqual(
      sorted,
    );
    expect([...sorted].reverse().sort(comparePaths)).toEqual(sorted);
  });

  test('is the callers promise, and broken promises are caught', () => {
    const pack = (...paths: string[]): unknown => packBytes(paths.map((path) => file(path, '')));
    expect(() => pack('b', 'a')).toThrow('out of order');
    expect(() => pack('a', 'a')).toThrow('out of order');
    expect(() => pack('a.b', 'a/b')).toThrow('out of order');
    expect(() => packBytes([{ type: 'hardlink', path: b('a'), target: b('z') }])).toThrow(
      'names nothing earlier',
    );
    expect(() => packBytes([{ ...file('a', ''), mtime: 1.5 }])).toThrow('out of range');
  });
});

describe('contents', () => {
  test.each([0, 1, 511, 1_048_575, 1_048_576, 1_048_577, 3_000_000])(
    'a file of %i bytes is the same from a path, a slice and memory',
    (size) => {
      const folder = scratchFolder();
      const bytes = Buffer.alloc(size, 'cairn');
      writeFileSync(`${folder}/whole`, bytes);
      writeFileSync(`${folder}/slice`, Buffer.concat([Buffer.from('before'), bytes, Buffer.from('after')]));
      const entry = { ...file('f', ''), size, digest: digestOf(bytes) };
      const small = file('a', 'first');
      const results = [
        packBytes([small, { ...entry, source: { kind: 'bytes', bytes } }]),
        packBytes([small, { ...entry, source: { kind: 'path', path: b(`${folder}/whole`) } }]),
        packBytes([small, { ...entry, source: { kind: 'slice', path: `${folder}/slice`, offset: 6 } }]),
      ];
      expect(results[1]!.tar.equals(results[0]!.tar)).toBe(true);
      expect(results[2]!.tar.equals(results[0]!.tar)).toBe(true);
      expect(results[1]!.toc.diffId).toBe(results[0]!.toc.diffId);
    },
  );

  const folderWith = (content: string): ByteString => {
    const folder = scratchFolder();
    writeFileSync(`${folder}/f`, content);
    return b(`${folder}/f`);
  };
  test.each([
    ['grew', (path: string) => writeFileSync(path, 'longer than before')],
    ['shrank', (path: string) => truncateSync(path, 2)],
    ['has other content', (path: string) => writeFileSync(path, 'HELLO')],
  ])('a file that %s is an error', (_, change) => {
    const path = folderWith('hello');
    change(path);
    const entry = {
      ...file('f', 'hello'),
      digest: digestOf('hello'),
      source: { kind: 'path', path },
    } as const;
    expect(() => packBytes([entry])).toThrow(expect.objectContaining({ code: 'CONTENT_CHANGED' }));
  });

  test('a file that is gone, a link or a folder now is an error', () => {
    const folder = scratchFolder();
    symlinkSync('/etc/passwd', `${folder}/link`);
    mkdirSync(`${folder}/folder`);
    const code = (name: string): unknown => {
      try {
        return packBytes([{ ...file('f', 'x'), source: { kind: 'path', path: b(`${folder}/${name}`) } }]);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect([code('none'), code('link'), code('folder')]).toEqual([
      'CONTENT_CHANGED',
      'CONTENT_CHANGED',
      'CONTENT_UNREADABLE',
    ]);
  });

  test('writes come in large pieces', () => {
    const sizes: number[] = [];
    const entries = Array.from({ length: 3000 }, (_, i) =>
      file(`f${String(i).padStart(5, '0')}`, 'x'.repeat(700)),
    );
    packLayer(entries, { write: (chunk) => sizes.push(chunk.length) });
    expect(sizes.length).toBeLessThan(8);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1024 * 1024);
  });
});

test('a name that would read as a whiteout is refused', () => {
  const reserved = expect.objectContaining({ code: 'LAYER_NAME_RESERVED' });
  expect(() => packBytes([file('a/.wh.b', '')])).toThrow(reserved);
  expect(() => packBytes([{ type: 'dir', path: b('.wh..wh..opq'), ...plain }])).toThrow(reserved);
});

test('a whiteout stands where the real name sorts', () => {
  const { tar } = packBytes([file('a/l', ''), { type: 'whiteout', path: b('a/new') }, file('a/new2', '')]);
  const names = [0, 512, 1024].map((at) => tar.toString('latin1', at, at + 20).replace(/\0.*/s, ''));
  expect(names).toEqual(['a/l', 'a/.wh.new', 'a/new2']);
});

describe('capabilities', () => {
  const pack = (hex: string): string => {
    const xattrs = { 'security.capability': Buffer.from(hex, 'hex').toString('latin1') as ByteString };
    const { toc } = packBytes([{ ...file('f', ''), xattrs }]);
    return Buffer.from(toc.entries[0]!.xattrs!['security.capability']!, 'latin1').toString('hex');
  };
  test.each([
    ['v2 stays', '0100000200200000000000000000000000000000', '0100000200200000000000000000000000000000'],
    [
      'v3 loses its root',
      '010000038020000000000000ff00000000000000e8030000',
      '010000028020000000000000ff00000000000000',
    ],
    ['v1 is widened', '000000010020000000400000', '0000000200200000004000000000000000000000'],
    ['an unknown revision stays', '00000009ff', '00000009ff'],
  ])('%s', (_, given, wanted) => {
    expect(pack(given)).toBe(wanted);
  });
});

describe('the table on disk', () => {
  const text = encodeToc(packBytes([file('a', 'x'), file('b', 'y')]).toc);
  test.each([
    ['cut', text.slice(0, -5)],
    ['of another version', text.replace('"version":1', '"version":0')],
    ['with a wrong path', text.replace('"a"', '"日"')],
    ['out of order', text.replace('"a"', '"c"')],
    ['with an impossible mode', text.replace('420', '42000')],
    ['with content beyond the tar', text.replace('"tarSize":', '"tarSize":1,"x":')],
    ['with a broken digest', text.replace(/[0-9a-f]{64}"\]\]/, 'zz"]]')],
    ['that is no object', '[]'],
    ['that is empty', ''],
  ])('is made anew when it is %s', (_, damaged) => {
    expect(damaged).not.toBe(text);
    expect(decodeToc(damaged)).toBeNull();
  });
});
