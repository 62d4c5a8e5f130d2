import { describe, expect, test } from 'vitest';
import { PatternMatcher } from '../../src/builder/context/pattern-matcher.ts';
import { copyPath, expandSource } from '../../src/builder/copy/copy-files.ts';
import { parseModeChange } from '../../src/builder/copy/file-mode.ts';
import { TreeEditor } from '../../src/builder/copy/tree-editor.ts';
import type { LayerEntry } from '../../src/store/contracts.ts';
import { toBytes } from '../../src/sys/index.ts';
import { memorySource, memoryTree } from './memory-tree.ts';

/** Copies `sources` to `to` on a base and shows the layer, one line an entry. */
function copy(setup: {
  readonly base?: string[];
  readonly files: string[];
  readonly from: string;
  readonly to: string;
  readonly chmod?: string;
  readonly owner?: { uid: number; gid: number };
  readonly exclude?: string[];
}): string[] {
  const source = memorySource(setup.files);
  const editor = new TreeEditor(memoryTree(setup.base ?? []), 1);
  const options = {
    mtime: () => 1,
    contentsOnly: true,
    ...(setup.chmod ? { mode: parseModeChange(setup.chmod) } : {}),
    ...(setup.owner ? { owner: setup.owner } : {}),
    ...(setup.exclude ? { exclude: PatternMatcher.of(setup.exclude) } : {}),
  };
  for (const path of expandSource(source, toBytes(setup.from)))
    copyPath(editor, source, path, toBytes(setup.to), options);
  return editor.entries().map(show);
}

function show(entry: LayerEntry): string {
  if (entry.type === 'whiteout' || entry.type === 'hardlink')
    return `${entry.type} ${entry.path}${entry.type === 'hardlink' ? ` => ${entry.target}` : ''}`;
  const link = entry.type === 'symlink' ? ` -> ${entry.link}` : '';
  const owner = entry.uid || entry.gid ? ` ${entry.uid}:${entry.gid}` : '';
  return `${entry.type} ${entry.path} ${entry.mode.toString(8)}${owner}${link}`;
}

describe('what lands where (rows C08 to C23)', () => {
  test.each([
    ['a file to a new name', { files: ['a'], from: 'a', to: '/b' }, ['file b 644']],
    ['a file into a new folder', { files: ['a'], from: 'a', to: '/d/' }, ['dir d 755', 'file d/a 644']],
    [
      'a file into a folder that exists',
      { base: ['d/'], files: ['a'], from: 'a', to: '/d' },
      ['file d/a 644'],
    ],
    ['a file to the root', { files: ['x/a'], from: 'x/a', to: '/' }, ['file a 644']],
    [
      'a folder gives its contents, not its mode',
      { files: ['d/ 700', 'd/f', 'd/e/ 711', 'd/e/g'], from: 'd', to: '/t' },
      ['dir t 755', 'dir t/e 711', 'file t/e/g 644', 'file t/f 644'],
    ],
    [
      'an existing top folder keeps its mode, nested ones take the source mode',
      { base: ['t/ 700', 't/e/ 700'], files: ['d/', 'd/e/ 711', 'd/e/g'], from: 'd', to: '/t' },
      ['dir t/e 711', 'file t/e/g 644'],
    ],
    [
      'folders matched by a glob are merged and lose their names',
      { files: ['x/', 'x/1', 'y/', 'y/2', '.h'], from: '*', to: '/t/' },
      ['dir t 755', 'file t/.h 644', 'file t/1 644', 'file t/2 644'],
    ],
    ['a glob without match copies nothing', { files: ['a'], from: 'z*', to: '/t/' }, []],
    ['a link named as source is followed', { files: ['a', 'l -> a'], from: 'l', to: '/t' }, ['file t 644']],
    [
      'links inside a folder stay links',
      { files: ['d/', 'd/l -> ../a', 'a'], from: 'd', to: '/t' },
      ['dir t 755', 'symlink t/l 777 -> ../a'],
    ],
    [
      'a destination link to a folder is followed inside the root',
      { base: ['real/', 'l -> /real'], files: ['a'], from: 'a', to: '/l/' },
      ['file real/a 644'],
    ],
    [
      'a destination link to a file is written through',
      { base: ['f', 'l -> f'], files: ['a'], from: 'a', to: '/l' },
      ['file f 644'],
    ],
    ['dots cannot leave the context', { files: ['a'], from: '../../a', to: '/b' }, ['file b 644']],
    ['dots cannot leave the root', { files: ['a'], from: 'a', to: '/x/../../b' }, ['file b 644']],
    [
      'hard links inside one copied tree stay links',
      { files: ['d/', 'd/a =1', 'd/b =1'], from: 'd', to: '/t' },
      ['dir t 755', 'file t/a 644', 'hardlink t/b => t/a'],
    ],
    [
      'an octal mode also names the mode of created parents',
      { files: ['a'], from: 'a', to: '/p/q/', chmod: '700' },
      ['dir p 700', 'dir p/q 700', 'file p/q/a 700'],
    ],
    [
      'a symbolic mode leaves created parents alone',
      { files: ['a'], from: 'a', to: '/p/', chmod: 'u=rw,go=' },
      ['dir p 755', 'file p/a 600'],
    ],
    [
      'an owner is given to everything that is made',
      { files: ['d/', 'd/a'], from: 'd', to: '/p/q', owner: { uid: 7, gid: 8 } },
      ['dir p 755 7:8', 'dir p/q 755 7:8', 'file p/q/a 644 7:8'],
    ],
    [
      'excluded paths are left out, re-included ones are not',
      {
        files: ['d/', 'd/a.md', 'd/b.md', 'd/s/', 'd/s/c.md'],
        from: 'd',
        to: '/t',
        exclude: ['**/*.md', '!b.md'],
      },
      ['dir t 755', 'file t/b.md 644', 'dir t/s 755'],
    ],
    [
      'a setuid bit and the sticky bit are kept',
      { files: ['d/', 'd/s 4755', 'd/t/ 1777'], from: 'd', to: '/x' },
      ['dir x 755', 'file x/s 4755', 'dir x/t 1777'],
    ],
  ] as const)('%s', (_, setup, expected) => {
    expect(copy(setup as unknown as Parameters<typeof copy>[0])).toEqual(expected);
  });
});

test('the same file named twice is copied twice, not linked', () => {
  const source = memorySource(['a =1', 'b =1']);
  const editor = new TreeEditor(memoryTree([]), 1);
  for (const path of expandSource(source, toBytes('*')))
    copyPath(editor, source, path, toBytes('/d/'), { mtime: () => 1, contentsOnly: true });
  expect(editor.entries().map((entry) => entry.type)).toEqual(['dir', 'file', 'file']);
});

test('patterns of --exclude are relative to a folder and do not touch a file that a glob names', () => {
  const setup = { files: ['a.log', 'd/', 'd/b.log', 'd/c'], from: '*', to: '/x/', exclude: ['*.log'] };
  expect(copy(setup)).toEqual(['dir x 755', 'file x/a.log 644', 'file x/c 644']);
});

describe('what cannot be copied', () => {
  test.each([
    ['a missing source', { files: ['a'], from: 'b', to: '/x' }, 'COPY_SOURCE_NOT_FOUND'],
    ['a dangling link', { files: ['l -> gone'], from: 'l', to: '/x' }, 'COPY_SOURCE_NOT_FOUND'],
    [
      'a dangling link matched by a glob',
      { files: ['l -> gone'], from: 'l*', to: '/x' },
      'COPY_SOURCE_NOT_FOUND',
    ],
    [
      'a file onto a folder',
      { base: ['t/', 't/a/'], files: ['a'], from: 'a', to: '/t/' },
      'COPY_ONTO_DIRECTORY',
    ],
    ['a folder onto a file', { base: ['t'], files: ['d/', 'd/a'], from: 'd', to: '/t' }, 'COPY_ONTO_FILE'],
    ['a path below a file', { base: ['t'], files: ['a'], from: 'a', to: '/t/u' }, 'NOT_A_DIRECTORY'],
    ['links in a circle', { base: ['l -> m', 'm -> l'], files: ['a'], from: 'a', to: '/l/' }, 'LINK_LOOP'],
  ] as const)('%s', (_, setup, code) => {
    expect(() => copy(setup as unknown as Parameters<typeof copy>[0])).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

describe('a symbolic --chmod', () => {
  test.each([
    ['u=rwX,go=rX', 0o600, false, 0o644],
    ['u=rwX,go=rX', 0o600, true, 0o755],
    ['u=rwX,go=rX', 0o700, false, 0o755],
    ['+x', 0o644, false, 0o755],
    ['a-w', 0o666, false, 0o444],
    ['g=u', 0o640, false, 0o660],
    ['u+s,+t', 0o755, false, 0o5755],
    ['go=', 0o777, false, 0o700],
    ['u+x-w', 0o600, false, 0o500],
  ] as const)('%s of %i', (text, mode, isDirectory, expected) => {
    expect(parseModeChange(text).apply(mode, isDirectory)).toBe(expected);
  });

  test.each(['8', '10000', 'u', 'rwx', 'u=rwz', '0o7', ''])('refuses "%s"', (text) => {
    expect(() => parseModeChange(text)).toThrow(expect.objectContaining({ code: 'CHMOD_INVALID' }));
  });
});
