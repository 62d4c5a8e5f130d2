import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { LocalTree } from '../../src/builder/context/local-tree.ts';
import { digestOf } from '../../src/oci/index.ts';
import { openStore } from '../../src/store/index.ts';
import { toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

/** A context, and what each new process would say about a file of it. */
function contextWith(content: string) {
  const folder = scratchFolder();
  const root = join(folder, 'context');
  fs.mkdirSync(root);
  const path = join(root, 'f');
  fs.writeFileSync(path, content);
  const read = (now?: () => number) => {
    const store = openStore({ root: join(folder, 'store'), ...(now ? { now } : {}) });
    const stats = store.statCache(root);
    const tree = new LocalTree({ root, ignore: null, stats, modes: 'normal' });
    tree.get(toBytes('f'));
    const digest = tree.digest(toBytes('f'));
    stats.save();
    store.close();
    return digest;
  };
  return { folder, root, path, read };
}

/** Longer than the file system's clock may be coarse. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 60));

describe('a changed file is read again, however its times are made up', () => {
  const old = new Date('2001-01-01T00:00:00Z');
  test.each<[string, (path: string) => void]>([
    ['in place, in the same instant', (path) => fs.writeFileSync(path, 'bbb')],
    [
      'and its time set back (touch -d)',
      (path) => {
        const { atime, mtime } = fs.statSync(path);
        fs.writeFileSync(path, 'bbb');
        fs.utimesSync(path, atime, mtime);
      },
    ],
    [
      'replaced by a file with the same time and size (rsync -a, cp -p)',
      (path) => {
        const { atime, mtime } = fs.statSync(path);
        fs.writeFileSync(`${path}.new`, 'bbb');
        fs.utimesSync(`${path}.new`, atime, mtime);
        fs.renameSync(`${path}.new`, path);
      },
    ],
    [
      'by renaming another old file over it',
      (path) => {
        fs.writeFileSync(`${path}.other`, 'bbb');
        fs.utimesSync(`${path}.other`, old, old);
        fs.renameSync(`${path}.other`, path);
      },
    ],
    [
      'through another name of it',
      (path) => {
        fs.linkSync(path, `${path}.link`);
        fs.writeFileSync(`${path}.link`, 'bbb');
      },
    ],
    [
      'on a file system with whole seconds',
      (path) => {
        fs.utimesSync(path, old, old);
        fs.writeFileSync(path, 'bbb');
        fs.utimesSync(path, old, old);
      },
    ],
  ])('%s', async (_, change) => {
    const { path, read } = contextWith('aaa');
    const first = digestOf('aaa');
    expect(read()).toBe(first);
    await settle();
    expect(read()).toBe(first);
    change(path);
    expect(read()).toBe(digestOf('bbb'));
    expect(read()).toBe(digestOf('bbb'));
  });

  test('many times in quick succession, never one is missed', () => {
    const { path, read } = contextWith('000');
    for (let i = 0; i < 200; i++) {
      const content = String(i % 10).repeat(3);
      fs.writeFileSync(path, content);
      expect(read()).toBe(digestOf(content));
    }
  });

  test.each([
    ['behind', -3600_000],
    ['ahead', 3600_000],
  ])('while the clock of the caller is an hour %s', async (_, offset) => {
    const { path, read } = contextWith('aaa');
    const now = () => Date.now() + offset;
    read(now);
    await settle();
    read(now);
    fs.writeFileSync(path, 'bbb');
    expect(read(now)).toBe(digestOf('bbb'));
    fs.writeFileSync(path, 'ccc');
    expect(read(now)).toBe(digestOf('ccc'));
  });

  test('a clock that jumps back makes files of the future racy, not wrong', async () => {
    const { path, read } = contextWith('aaa');
    const future = new Date(Date.now() + 86_400_000);
    fs.utimesSync(path, future, future);
    await settle();
    read();
    fs.writeFileSync(path, 'bbb');
    fs.utimesSync(path, future, future);
    expect(read()).toBe(digestOf('bbb'));
  });
});

test('a touched file is read again and has the same digest', async () => {
  const { path, read } = contextWith('aaa');
  read();
  await settle();
  fs.utimesSync(path, new Date(), new Date());
  expect(read()).toBe(digestOf('aaa'));
});

test('a file that was moved away and back is known without reading it', async () => {
  const { folder, path, read } = contextWith('aaa');
  await settle();
  read();
  fs.renameSync(path, join(folder, 'away'));
  fs.renameSync(join(folder, 'away'), path);
  expect(read()).toBe(digestOf('aaa'));
});

test('the context at another path, with the same inodes, is read for itself', async () => {
  const { folder, root, read } = contextWith('aaa');
  await settle();
  read();
  fs.renameSync(root, join(folder, 'moved'));
  fs.mkdirSync(root);
  fs.writeFileSync(join(root, 'f'), 'bbb');
  expect(read()).toBe(digestOf('bbb'));
});

const hasStrace = (() => {
  try {
    execFileSync('strace', ['-V'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!hasStrace)(
  'an unchanged context costs one lstat a file and no file is opened (skipped without strace)',
  async () => {
    const folder = scratchFolder();
    const context = join(folder, 'context');
    const count = 300;
    fs.mkdirSync(join(context, 'd'), { recursive: true });
    for (let i = 0; i < count; i++) fs.writeFileSync(join(context, 'd', `file-${i}`), `${i}`);
    fs.writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY d /d\n');
    await settle();
    const script = join(import.meta.dirname, '../support/build-once.ts');
    const args = ['--import', 'tsx', script, join(folder, 'store'), context];
    execFileSync(process.execPath, args);
    await settle();
    execFileSync(process.execPath, args);
    const log = join(folder, 'trace');
    const calls =
      'trace=stat,lstat,newfstatat,statx,open,openat,getxattr,lgetxattr,listxattr,llistxattr,readlink';
    execFileSync('strace', ['-f', '-qq', '-e', calls, '-o', log, process.execPath, ...args]);
    const lines = fs
      .readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.includes('/context/d/file-'));
    expect(lines).toHaveLength(count);
    expect(lines.filter((line) => !/ (?:lstat|statx|newfstatat)\(/.test(line))).toEqual([]);
  },
);
