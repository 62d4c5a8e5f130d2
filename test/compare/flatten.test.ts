import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { compareFiles } from './difference.ts';
import { type FlatImage, flatten } from './flatten.ts';
import { digestOf } from './tar.ts';

/** One layer for each script: what the script leaves in its folder, as GNU tar packs it. */
function layersOf(...scripts: string[]): FlatImage {
  const folder = scratchFolder();
  const slices = scripts.map((script, i) => {
    const root = join(folder, `${i}`);
    const tar = join(folder, `${i}.tar`);
    mkdirSync(root);
    const pack = `tar --format=posix --sort=name --numeric-owner --owner=0 --group=0 --mtime=@1 -cf '${tar}' -C '${root}' .`;
    const run = spawnSync('sh', ['-euc', `umask 022; cd '${root}'; ${script}\n${pack}`], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    const fd = openSync(tar, 'r');
    onTestFinished(() => closeSync(fd));
    return { fd, offset: 0, size: fstatSync(fd).size };
  });
  return flatten(slices);
}

describe('flattening layers', () => {
  test('keeps types, modes, sizes, link targets and contents', () => {
    const flat = layersOf(
      'mkdir -m 1777 d; printf abc > d/f; chmod 4750 d/f; ln -s ../x d/l; mkfifo -m 600 p',
    );
    expect([...flat.keys()].sort()).toEqual(['', 'd', 'd/f', 'd/l', 'p']);
    expect(flat.get('d')).toMatchObject({ type: 'dir', mode: 0o1777 });
    expect(flat.get('d/f')).toMatchObject({
      type: 'file',
      mode: 0o4750,
      size: 3,
      content: 'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    });
    expect(flat.get('d/l')).toMatchObject({ type: 'symlink', link: '../x' });
    expect(flat.get('p')).toMatchObject({ type: 'fifo', mode: 0o600 });
  });

  test.each([
    ['a whiteout removes a file of a lower layer', ['touch a b', ': > .wh.a'], ['', 'b']],
    ['a whiteout removes a folder with all it holds', ['mkdir -p d/e; touch d/e/f', ': > .wh.d'], ['']],
    [
      'a whiteout spares what its own layer adds',
      ['mkdir d; touch d/old', ': > .wh.d; mkdir d; touch d/new'],
      ['', 'd', 'd/new'],
    ],
    [
      'an opaque whiteout hides all lower children, wherever it stands',
      ['mkdir d; touch d/old', 'mkdir d; touch d/.a d/new d/.wh..wh..opq'],
      ['', 'd', 'd/.a', 'd/new'],
    ],
    ['a file replaces a folder', ['mkdir d; touch d/x', 'touch d'], ['', 'd']],
    ['a folder replaces a file', ['touch d', 'mkdir d; touch d/x'], ['', 'd', 'd/x']],
    [
      'a folder is merged with one below',
      ['mkdir d; touch d/x', 'mkdir d; touch d/y'],
      ['', 'd', 'd/x', 'd/y'],
    ],
  ])('%s', (_, scripts, paths) => {
    expect([...layersOf(...scripts).keys()].sort()).toEqual(paths);
  });

  test('names of one inode share it, until a later layer replaces one of them', () => {
    const one = layersOf('echo x > a; ln a b; ln a c');
    expect(one.get('a')).toBe(one.get('c'));
    const two = layersOf('echo x > a; ln a b; ln a c', 'echo y > b');
    expect(two.get('a')).toBe(two.get('c'));
    expect(two.get('b')).not.toBe(two.get('a'));
  });

  test('long names, long link targets and bytes that are not text survive', () => {
    const flat = layersOf(
      'd=$(printf "dir-of-some-length/%.0s" $(seq 20)); mkdir -p "$d"; touch "$d/$(printf "n%.0s" $(seq 200))"; touch "$(printf "\\377x")"; ln -s "$(printf "t%.0s" $(seq 300))" l',
    );
    expect(flat.has('\xffx')).toBe(true);
    expect(flat.get('l')?.link).toBe('t'.repeat(300));
    expect([...flat.keys()].some((path) => path.endsWith(`/${'n'.repeat(200)}`))).toBe(true);
  });

  test('a damaged header is refused', () => {
    const folder = scratchFolder();
    spawnSync('sh', [
      '-c',
      `cd '${folder}' && touch a && tar -cf t a && printf X | dd of=t bs=1 seek=100 conv=notrunc`,
    ]);
    const fd = openSync(join(folder, 't'), 'r');
    onTestFinished(() => closeSync(fd));
    expect(() => flatten([{ fd, offset: 0, size: fstatSync(fd).size }])).toThrow('wrong checksum');
  });

  test('contents are hashed in pieces', () => {
    const folder = scratchFolder();
    const file = join(folder, 'f');
    spawnSync('sh', ['-c', `head -c 3000001 /dev/zero > '${file}'`]);
    const expected = spawnSync('sha256sum', [file], { encoding: 'utf8' }).stdout.slice(0, 64);
    const fd = openSync(file, 'r');
    onTestFinished(() => closeSync(fd));
    expect(digestOf({ fd, offset: 0, size: 3_000_001 })).toBe(`sha256:${expected}`);
  });
});

describe('comparing two root file systems', () => {
  const base = 'mkdir d; echo x > d/f; ln -s f d/l; echo y > a; ln a b';

  test('finds nothing between equal ones, however they are layered', () => {
    const together = layersOf(base);
    const apart = layersOf(
      'mkdir d; echo old > d/f; touch gone',
      'mkdir d; echo x > d/f; : > .wh.gone',
      `${base}`,
    );
    expect(compareFiles(together, apart)).toEqual([]);
  });

  test.each([
    ['a missing file', 'rm d/f', 'd/f', 'path'],
    ['an extra file', 'touch d/new', 'd/new', 'path'],
    ['a mode', 'chmod 600 d/f', 'd/f', 'mode'],
    ['a setuid bit', 'chmod u+s d/f', 'd/f', 'mode'],
    ['the mode of the root', 'chmod 700 .', '', 'mode'],
    ['a content of equal size', 'echo z > d/f', 'd/f', 'content'],
    ['a size', 'echo longer > d/f', 'd/f', 'size'],
    ['a link target', 'ln -sf g d/l', 'd/l', 'link'],
    ['a type', 'rm d/f; mkfifo -m 644 d/f', 'd/f', 'type'],
    ['a broken hard link', 'rm b; echo y > b', 'b', 'hard links'],
    ['a new hard link', 'ln d/f d/g', 'd/f', 'hard links'],
  ])('finds %s', (_, change, where, field) => {
    const differences = compareFiles(layersOf(base), layersOf(`${base}; ${change}`));
    expect(differences).toContainEqual(expect.objectContaining({ where, field }));
  });

  test('finds owners and attributes', () => {
    const file = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 0, xattrs: {} } as const;
    const differences = compareFiles(
      new Map([['f', file]]),
      new Map([['f', { ...file, uid: 1, gid: 2, xattrs: { 'user.a': '00ff' } }]]),
    );
    expect(differences.map(({ field }) => field)).toEqual(['uid', 'gid', 'xattr user.a']);
  });
});
