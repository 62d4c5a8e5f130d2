import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ArchiveTree } from '../../src/builder/archive/archive-tree.ts';
import { type Archive, readArchive } from '../../src/builder/archive/read-archive.ts';
import { unpackArchive } from '../../src/builder/archive/unpack-archive.ts';
import { TreeEditor } from '../../src/builder/copy/tree-editor.ts';
import { digestOf } from '../../src/oci/index.ts';
import type { LayerEntry } from '../../src/store/contracts.ts';
import { toBytes } from '../../src/sys/index.ts';
import { paxRecord, type RawMember, rawTar } from '../support/raw-tar.ts';
import { scratchFolder } from '../support/scratch.ts';
import { memoryTree } from './memory-tree.ts';

const file = (name: string, body = name, rest: Partial<RawMember> = {}): RawMember => ({
  name,
  body,
  ...rest,
});
const folder = (name: string, mode = '0000755\0'): RawMember => ({ name, flag: '5', mode });
const link = (name: string, to: string): RawMember => ({ name, flag: '2', link: to });
const hard = (name: string, to: string): RawMember => ({ name, flag: '1', link: to });

async function read(bytes: Buffer): Promise<Archive | null> {
  const root = scratchFolder();
  const path = join(root, 'file');
  writeFileSync(path, bytes);
  const scratch = () => mkdtempSync(join(root, 'scratch-'));
  return readArchive({ kind: 'path', path: toBytes(path) }, bytes.length, { scratch });
}

async function archiveOf(...members: RawMember[]): Promise<Archive> {
  const archive = await read(rawTar(members));
  if (archive === null) throw new Error('not an archive');
  return archive;
}

/** `path type mode uid content-or-target` for each entry of a layer. */
function describeEntry(entry: LayerEntry): string {
  if (entry.type === 'whiteout') return `${entry.path} gone`;
  if (entry.type === 'hardlink') return `${entry.path} = ${entry.target}`;
  const common = `${entry.path} ${entry.type} ${entry.mode.toString(8)} ${entry.uid}`;
  if (entry.type === 'symlink') return `${common} -> ${entry.link}`;
  return common;
}

async function unpack(
  base: readonly string[],
  destination: string,
  members: readonly RawMember[],
  owner?: { uid: number; gid: number },
): Promise<string[]> {
  const tree = memoryTree(base);
  const editor = new TreeEditor(tree, 9);
  unpackArchive(editor, await archiveOf(...members), toBytes(destination), {
    ...(owner ? { owner } : {}),
    mtimeOf: () => 5,
    contentOf: (path) => ({ kind: 'bytes', bytes: Buffer.from(path, 'latin1') }),
  });
  return editor.entries().map(describeEntry);
}

describe('readArchive', () => {
  const tar = rawTar([folder('d/'), file('d/f', 'content'), file('empty', '')]);
  const through = (command: string, ...args: string[]) => {
    const result = spawnSync(command, args, { input: tar, maxBuffer: 1 << 24 });
    return result.error ? null : result.stdout;
  };

  const forms: readonly (readonly [string, Buffer | null])[] = [
    ['plain', tar],
    ['gzip', gzipSync(tar)],
    ['bzip2', through('bzip2', '-c')],
    ['xz', through('xz', '-c')],
    ['zstd', through('zstd', '-cq')],
  ];
  for (const [form, bytes] of forms)
    test.skipIf(bytes === null)(`reads a tar in ${form} form (needs the program to make one)`, async () => {
      const archive = await read(bytes as Buffer);
      expect(archive?.members.map(({ path, type, digest }) => [path, type, digest])).toEqual([
        ['d', 'dir', undefined],
        ['d/f', 'file', digestOf('content')],
        ['empty', 'file', digestOf('')],
      ]);
      const content = archive?.content(archive.members[1] as never);
      if (content?.kind !== 'slice') throw new Error('not a slice');
      const { path, offset } = content;
      expect(readFileSync(path).toString('latin1', offset, offset + 7)).toBe('content');
    });

  test.each<[string, Buffer]>([
    ['an empty file', Buffer.alloc(0)],
    ['text', Buffer.from('hello world\n'.repeat(200))],
    ['zeros', Buffer.alloc(10240)],
    ['a tar without entries', rawTar([])],
    ['a text in gzip', gzipSync('hello'.repeat(1000))],
    ['a broken gzip', Buffer.concat([Buffer.from([0x1f, 0x8b, 8]), Buffer.alloc(1000, 7)])],
    ['one short block', rawTar([file('x')]).subarray(0, 300)],
    ['a wrong checksum', rawTar([file('x', 'x', { checksum: '000001\0 ' })])],
    ['an empty gzip', gzipSync('')],
  ])('sees that %s is none', async (_, bytes) => {
    expect(await read(bytes)).toBeNull();
  });

  test.each<[string, Buffer]>([
    ['is cut off', rawTar([file('a'), file('b', 'x'.repeat(2000))]).subarray(0, 2500)],
    [
      'has rubbish behind its first entry',
      Buffer.concat([rawTar([file('a')]).subarray(0, 1024), Buffer.alloc(512, 1)]),
    ],
    [
      'is cut off in gzip',
      gzipSync(rawTar([file('a', Buffer.alloc(300_000, 'ab').toString()), file('b')])).subarray(0, -20),
    ],
  ])('refuses a tar that %s', async (_, bytes) => {
    await expect(read(bytes)).rejects.toMatchObject({ code: 'ARCHIVE_INVALID' });
  });

  test('copies what has a name that slices cannot have', async () => {
    const root = scratchFolder();
    const path = Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]);
    writeFileSync(path, tar);
    const scratch = () => mkdtempSync(join(root, 'scratch-'));
    const source = { kind: 'path', path: path.toString('latin1') as never } as const;
    const archive = await readArchive(source, tar.length, { scratch });
    expect(archive?.content(archive.members[1] as never)).toMatchObject({
      kind: 'slice',
      path: expect.stringContaining('scratch-'),
    });
  });
});

describe('unpackArchive', () => {
  test.each<[string, string[], string, RawMember[], string[]]>([
    [
      'makes parents that the archive lacks',
      ['d/'],
      'd',
      [file('a/b/c')],
      ['d/a dir 755 0', 'd/a/b dir 755 0', 'd/a/b/c file 644 0'],
    ],
    [
      'leaves the destination as it is',
      ['d/ 700'],
      'd',
      [folder('./', '0000777\0'), file('./f')],
      ['d/f file 644 0'],
    ],
    [
      'lets a folder over a folder change its mode',
      ['d/x/ 700', 'd/x/keep'],
      'd',
      [folder('x/', '0000711\0')],
      ['d/x dir 711 0'],
    ],
    ['lets a file take the place of a folder', ['d/x/keep'], 'd', [file('x')], ['d/x file 644 0']],
    [
      'lets a folder take the place of a file',
      ['d/x'],
      'd',
      [folder('x/'), file('x/y')],
      ['d/x dir 755 0', 'd/x/y file 644 0'],
    ],
    [
      'lets the last entry of a name count',
      ['d/'],
      'd',
      [file('x', 'one'), link('x', 'y'), file('x', 'two', { mode: '0000600\0' })],
      ['d/x file 600 0'],
    ],
    [
      'lets a file take the place of a folder of the archive',
      ['d/'],
      'd',
      [folder('x/'), file('x/y'), file('x')],
      ['d/x file 644 0'],
    ],
    [
      'follows links of the destination',
      ['d/l -> real', 'd/real/ 755'],
      'd',
      [file('l/f')],
      ['d/real/f file 644 0'],
    ],
    [
      'follows links of the archive',
      ['d/'],
      'd',
      [folder('real/'), link('l', 'real'), file('l/f')],
      ['d/l symlink 777 0 -> real', 'd/real dir 755 0', 'd/real/f file 644 0'],
    ],
    [
      'does not leave the destination by an absolute link',
      ['d/l -> /etc', 'etc/passwd'],
      'd',
      [file('l/f')],
      ['d/etc dir 755 0', 'd/etc/f file 644 0'],
    ],
    [
      'does not leave the destination by dots',
      ['d/', 'etc/passwd'],
      'd',
      [file('../../etc/passwd'), link('l', '../../etc'), file('l/x')],
      ['d/etc dir 755 0', 'd/etc/passwd file 644 0', 'd/etc/x file 644 0', 'd/l symlink 777 0 -> ../../etc'],
    ],
    [
      'replaces a link, and not what it leads to',
      ['d/l -> real', 'd/real'],
      'd',
      [file('l')],
      ['d/l file 644 0'],
    ],
    [
      'keeps hard links',
      ['d/'],
      'd',
      [file('a'), hard('b', 'a'), hard('c/d', 'b')],
      ['d/a file 644 0', 'd/b = d/a', 'd/c dir 755 0', 'd/c/d = d/a'],
    ],
    [
      'links to a file that was there',
      ['d/old'],
      'd',
      [hard('new', 'old')],
      ['d/new file 644 0', 'd/old = d/new'],
    ],
    [
      'gives a linked file what the last header says',
      ['d/'],
      'd',
      [file('a'), { ...hard('b', 'a'), mode: '0000600\0' }],
      ['d/a file 600 0', 'd/b = d/a'],
    ],
    [
      'keeps fifos and devices',
      ['d/'],
      'd',
      [
        { name: 'p', flag: '6' },
        { name: 'n', flag: '3', major: '0000001\0', minor: '0000003\0' },
      ],
      ['d/n char 644 0', 'd/p fifo 644 0'],
    ],
    [
      "keeps the archive's owners",
      ['d/'],
      'd',
      [file('a', 'a', { uid: '0001750\0' })],
      ['d/a file 644 1000'],
    ],
    ['works in the root', [], '', [file('a'), folder('b/')], ['a file 644 0', 'b dir 755 0']],
  ])('%s', async (_, base, destination, members, expected) => {
    expect(await unpack(base, destination, members)).toEqual(expected);
  });

  test('gives everything to the owner of --chown, but not parents that it had to make', async () => {
    const entries = await unpack(['d/'], 'd', [file('a/b', 'x', { uid: '0001750\0' })], { uid: 5, gid: 6 });
    expect(entries).toEqual(['d/a dir 755 0', 'd/a/b file 644 5']);
  });

  test.each<[string, RawMember[], string]>([
    ['a hard link to nothing', [hard('a', 'nothing')], 'ARCHIVE_INVALID'],
    ['a hard link to itself', [file('a'), hard('a', 'a')], 'ARCHIVE_INVALID'],
    ['a hard link to a folder', [folder('a/'), hard('b', 'a')], 'ARCHIVE_INVALID'],
    ['a file below a file', [file('a'), file('a/b')], 'NOT_A_DIRECTORY'],
    ['links in a circle', [link('a', 'b'), link('b', 'a'), file('a/c')], 'LINK_LOOP'],
    ['the device that means a deletion', [{ name: 'x', flag: '3' }], 'ARCHIVE_INVALID'],
  ])('refuses %s', async (_, members, code) => {
    await expect(unpack(['d/'], 'd', members)).rejects.toMatchObject({ code });
  });

  test('keeps the attributes that images have, and no others', async () => {
    const body =
      paxRecord('SCHILY.xattr.user.a', '\x80\xff') + paxRecord('SCHILY.xattr.security.selinux', 'x');
    const archive = await archiveOf({ name: 'pax', flag: 'x', body }, file('f'));
    const tree = new ArchiveTree(archive);
    expect(tree.get(toBytes('f'))?.xattrs).toEqual({ 'user.a': '\x80\xff' });
  });

  test('skips global headers', async () => {
    const body = paxRecord('comment', 'a commit');
    expect(await unpack(['d/'], 'd', [{ name: 'pax_global_header', flag: 'g', body }, file('f')])).toEqual([
      'd/f file 644 0',
    ]);
  });
});

test('an archive as a tree has its files where unpacking would put them', async () => {
  const tree = new ArchiveTree(
    await archiveOf(
      file('z'),
      folder('d/', '0000700\0'),
      file('d/b', 'old'),
      file('d/b', 'new'),
      hard('a', 'z'),
      link('l', 'd'),
    ),
  );
  expect(tree.list(toBytes(''))).toEqual(['a', 'd', 'l', 'z']);
  expect(tree.list(toBytes('d'))).toEqual(['b']);
  expect(tree.get(toBytes('d'))).toMatchObject({ type: 'dir', mode: 0o700 });
  expect(tree.digest(toBytes('d/b'))).toBe(digestOf('new'));
  expect(tree.digest(toBytes('z'))).toBe(digestOf('z'));
  expect(tree.get(toBytes('a'))?.inode).toBe(tree.get(toBytes('z'))?.inode);
  expect(tree.get(toBytes('nothing'))).toBeUndefined();
});
