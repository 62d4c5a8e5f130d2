import { execFileSync, spawnSync } from 'node:child_process';
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LayerEntry, Toc, Tree } from '../../src/store/contracts.ts';
import {
  emptyTree,
  needsParent,
  parentOf,
  scanUpper,
  sortEntries,
  TocBuilder,
  treeOf,
  unpackLayer,
} from '../../src/store/layer/index.ts';
import { type ByteString, fsPath, getXattr, toBytes } from '../../src/sys/index.ts';
import { packBytes } from '../support/pack-bytes.ts';
import { randomLayer, withoutLinkedNodes } from '../support/random-layer.ts';
import { rawTar } from '../support/raw-tar.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

/** A tree in which everything that the layer deletes exists. */
function parentFor(entries: readonly LayerEntry[]): Tree {
  const gone = entries.filter(({ type }) => type === 'whiteout');
  const plain = { mode: 0o600, uid: 0, gid: 0, mtime: 0 };
  const folders = new Set<ByteString>();
  for (const { path } of gone) {
    for (let folder = parentOf(path); folder !== ''; folder = parentOf(folder)) folders.add(folder);
  }
  const below: LayerEntry[] = sortEntries([
    // An odd time, so that no directory of the layer is as it was.
    ...[...folders].map((path): LayerEntry => ({ type: 'dir', path, ...plain, mode: 0o700, mtime: 77 })),
    ...gone.map(({ path }): LayerEntry => ({ type: 'fifo', path, ...plain })),
  ]);
  return treeOf([packBytes(below).toc]);
}

function tocOf(tar: Buffer): Toc {
  const builder = new TocBuilder();
  builder.write(tar);
  return builder.finish();
}

describe('unpack, then scan and pack', () => {
  skipBecause(unlessRoot());
  const folders = new Map<string, string>();
  const folderOn = (disk: string): string => folders.get(disk)!;

  beforeAll(() => {
    folders.set('tmpfs', mkdtempSync('/dev/shm/cairn-test-'));
    folders.set('ext4', mkdtempSync('/var/tmp/cairn-test-'));
  });
  afterAll(() => {
    for (const folder of folders.values()) rmSync(folder, { recursive: true });
  });

  const roundTrip = (disk: string, name: string, entries: readonly LayerEntry[]): void => {
    const folder = folderOn(disk);
    const { toc, tar } = packBytes(entries);
    const parent = parentFor(entries);
    expect(needsParent(toc, () => parent)).toBe(false);
    const target = `${folder}/${name}`;
    mkdirSync(target, { mode: 0o700 });
    writeFileSync(`${target}.tar`, tar);
    unpackLayer(toc, { target, tarPath: `${target}.tar` });
    const again = packBytes(scanUpper(target, parent, { epoch: Number.POSITIVE_INFINITY }));
    expect(again.toc.entries).toEqual(toc.entries);
    expect(again.tar.equals(tar)).toBe(true);
  };

  describe.each(['tmpfs', 'ext4'])('on %s', (disk) => {
    test.each(Array.from({ length: 40 }, (_, seed) => seed))(
      'random layer %i comes back byte for byte',
      (seed) => {
        const before = process.umask(0o077);
        try {
          roundTrip(disk, `seed-${seed}`, randomLayer(1000 + seed, { whiteouts: true }));
        } finally {
          process.umask(before);
        }
      },
    );
  });

  test('GNU tar lists and extracts our layers, which then pack to the same bytes', () => {
    for (let seed = 0; seed < 15; seed++) {
      const entries = randomLayer(2000 + seed, { whiteouts: false });
      const { toc, tar } = packBytes(entries);
      const target = `${folderOn('tmpfs')}/gnu-${seed}`;
      mkdirSync(target);
      const options = [
        '--warning=no-timestamp',
        '--xattrs',
        '--xattrs-include=*',
        '--numeric-owner',
        '--same-permissions',
        '--delay-directory-restore',
      ];
      const extracted = spawnSync('tar', ['-x', ...options, '-C', target], { input: tar, encoding: 'utf8' });
      expect([extracted.stderr, extracted.status]).toEqual(['', 0]);
      const again = packBytes(scanUpper(target, emptyTree(), { epoch: Number.POSITIVE_INFINITY }));
      expect(again.toc.entries).toEqual(toc.entries);
      const listed = execFileSync('tar', ['-t', '--quoting-style=literal', '--null'], { input: tar });
      expect(listed.length).toBeGreaterThan(0);
    }
  });

  test.each(['gnu', 'posix', 'v7', 'oldgnu', 'ustar'])(
    'what GNU tar packs as %s reads the same',
    (format) => {
      const folder = folderOn('tmpfs');
      const source = `${folder}/source-${format}`;
      mkdirSync(source);
      const isOld = format === 'v7' || format === 'ustar';
      const plain = { mode: 0o640, uid: 5, gid: 6, mtime: 7 };
      // v7 and ustar have no room for large ids, long names and times before 1970.
      const simple: LayerEntry[] = [
        {
          type: 'file',
          path: toBytes('a'),
          ...plain,
          size: 1,
          source: { kind: 'bytes', bytes: Buffer.from('x') },
        },
        { type: 'dir', path: toBytes('dir'), ...plain, mode: 0o750 },
        { type: 'hardlink', path: toBytes('dir/a'), target: toBytes('a') },
        { type: 'symlink', path: toBytes('dir/é'), ...plain, mode: 0o777, link: toBytes('../a') },
      ];
      const { toc, tar } = packBytes(
        isOld ? simple : withoutLinkedNodes(randomLayer(42, { whiteouts: false })),
      );
      writeFileSync(`${source}.tar`, tar);
      unpackLayer(toc, { target: source, tarPath: `${source}.tar` });
      const foreign = execFileSync(
        'tar',
        ['-c', `--format=${format}`, '--sort=name', '--numeric-owner', '-C', source, '.'],
        {
          maxBuffer: 1 << 28,
          env: { ...process.env, LC_ALL: 'C' },
        },
      );
      const target = `${folder}/target-${format}`;
      mkdirSync(target);
      writeFileSync(`${target}.tar`, foreign);
      const read = tocOf(foreign);
      unpackLayer(read, { target, tarPath: `${target}.tar` });
      const strip = (entry: LayerEntry): LayerEntry => {
        const { xattrs: _, ...rest } = entry as LayerEntry & { xattrs?: unknown };
        return rest as LayerEntry;
      };
      const scan = (at: string) => scanUpper(at, emptyTree(), { epoch: Number.POSITIVE_INFINITY }).map(strip);
      expect(packBytes(scan(target)).toc).toEqual(packBytes(scan(source)).toc);
    },
  );

  test('overlay marks are what overlay itself makes', () => {
    const folder = folderOn('tmpfs');
    const foreign = rawTar([
      { name: 'd/', flag: '5' },
      { name: 'd/f' },
      { name: 'd/.wh..wh..opq' },
      { name: '.wh.gone' },
      { name: 'again/', flag: '5' },
      { name: '.wh.again' },
    ]);
    const target = `${folder}/marks`;
    mkdirSync(target);
    writeFileSync(`${target}.tar`, foreign);
    unpackLayer(tocOf(foreign), { target, tarPath: `${target}.tar` });
    expect(readdirSync(target).sort()).toEqual(['again', 'd', 'gone']);
    expect(getXattr(toBytes(`${target}/d`), 'trusted.overlay.opaque')).toBe('y');
    expect(getXattr(toBytes(`${target}/again`), 'trusted.overlay.opaque')).toBe('y');
    const whiteout = lstatSync(fsPath(toBytes(`${target}/gone`)));
    expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
  });
});
