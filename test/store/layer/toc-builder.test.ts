import { describe, expect, test } from 'vitest';
import type { Toc, TocEntry } from '../../../src/store/contracts.ts';
import { emptyTree, needsParent, TocBuilder } from '../../../src/store/layer/index.ts';
import { toBytes } from '../../../src/sys/index.ts';
import { type RawMember, rawTar } from '../../support/raw-tar.ts';

function tocOf(members: readonly RawMember[]): Toc {
  const builder = new TocBuilder();
  builder.write(rawTar(members));
  return builder.finish();
}

const letters: Partial<Record<TocEntry['type'], string>> = {
  dir: '/',
  whiteout: '-',
  opaque: '!',
  hardlink: '=',
  symlink: '@',
};
const summary = ({ entries }: Toc): string =>
  entries
    .map(({ path, type, link }) => `${letters[type] ?? '+'}${path}${link === undefined ? '' : `>${link}`}`)
    .join(' ');

const f = (name: string, body = ''): RawMember => ({ name, body });
const d = (name: string): RawMember => ({ name, flag: '5' });
const l = (name: string, link: string): RawMember => ({ name, flag: '2', link });
const h = (name: string, link: string): RawMember => ({ name, flag: '1', link });

describe('a table of contents', () => {
  test.each<[string, RawMember[], string]>([
    ['is sorted by component', [f('a.b'), f('a/c'), d('a'), f('B')], '+B /a +a/c +a.b'],
    ['has the root when the tar has', [d('./'), f('./a')], '/ +a'],
    ['has the last of a name', [f('a', 'first'), f('a', 'second!')], '+a'],
    ['has a file instead of a directory and all in it', [d('a'), f('a/b'), f('a')], '+a'],
    ['has a directory instead of a file', [f('a'), d('a'), f('a/b')], '/a +a/b'],
    ['keeps contents when a directory comes again', [d('a'), f('a/b'), d('a')], '/a +a/b'],
    ['directs hard links to the first name', [f('z', 'x'), h('a', 'z'), h('m', 'a')], '+a =m>a =z>a'],
    ['keeps an inode when its first name is replaced', [f('a', 'one'), h('b', 'a'), f('a', 'two')], '+a +b'],
    ['keeps a link to a lower layer', [h('b', 'usr/a'), h('c', 'b')], '=b>usr/a =c>b'],
    ['ignores a link to itself', [f('a'), h('a', 'a')], '+a'],
    [
      'follows the own links of a layer',
      [d('usr'), d('usr/lib'), l('lib', 'usr/lib'), f('lib/x')],
      '@lib>usr/lib /usr /usr/lib +usr/lib/x',
    ],
    [
      'follows absolute links and .. inside the root',
      [l('a', '/../../r'), f('a/x'), l('r/b', '../s'), f('a/b/y')],
      '@a>/../../r @r/b>../s +r/x +s/y',
    ],
    [
      'follows links in targets of hard links',
      [d('r'), f('r/x'), l('a', 'r'), h('y', 'a/x')],
      '@a>r /r +r/x =y>r/x',
    ],
    ['leaves links of lower layers alone', [f('lib/x')], '+lib/x'],
    ['has whiteouts at the real name', [f('a/.wh.gone'), f('a/kept')], '-a/gone +a/kept'],
    ['has a whiteout beside what replaces the name', [f('a'), f('.wh.a')], '-a +a'],
    ['has an opaque mark wherever it stands', [d('a'), f('a/b'), f('a/.wh..wh..opq')], '/a !a +a/b'],
    ['has an opaque root', [f('.wh..wh..opq'), f('a')], '! +a'],
    ['lacks what aufs left', [d('.wh..wh.plnk'), f('.wh..wh.plnk/1.2'), f('.wh..wh.aufs'), f('a')], '+a'],
  ])('%s', (_, members, wanted) => {
    expect(summary(tocOf(members))).toBe(wanted);
  });

  test('points at the content that counts', () => {
    const [a, b] = tocOf([f('a', 'one'), h('b', 'a'), f('a', 'two2')]).entries;
    expect([a?.offset, a?.size, b?.offset, b?.size]).toEqual([512 * 4, 4, 512, 3]);
  });

  test.each<[string, RawMember[]]>([
    ['a name below a file', [f('a'), f('a/b')]],
    ['links in a circle', [l('a', 'b'), l('b', 'a'), f('a/x')]],
    ['a hard link to a directory', [d('a'), h('b', 'a')]],
    ['a hard link to the root', [h('b', '/')]],
    ['a file in the place of the root', [f('./')].map((member) => ({ ...member, name: '.', flag: '0' }))],
    ['a whiteout of nothing', [f('.wh.')]],
    ['a whiteout used as a directory', [f('.wh.a/b')]],
    ['a link that leads to a whiteout', [l('a', '.wh.b'), f('a/x')]],
    ['a whiteout of the parent', [f('a/.wh...')]],
  ])('refuses %s', (_, members) => {
    expect(() => tocOf(members)).toThrow(expect.objectContaining({ code: 'ARCHIVE_INVALID' }));
  });

  test.each<[string, RawMember[], boolean]>([
    ['complete', [d('a'), f('a/b'), h('c', 'a/b'), d('d'), f('d/.wh.below')], false],
    ['deleting what is not there', [d('d'), f('d/.wh.other')], true],
    ['without a parent directory', [f('a/b')], true],
    ['linked to a lower layer', [h('c', 'a')], true],
    ['opaque without the directory', [f('a/.wh..wh..opq')], true],
    ['with a whiteout in a directory it leaves out', [f('a/.wh.b')], true],
  ])('of a layer that is %s says whether the parent matters', (_, members, wanted) => {
    const lower = emptyTree().apply(tocOf([d('d'), f('d/below')]));
    expect(needsParent(tocOf(members), () => lower)).toBe(wanted);
  });
});

describe('applied to a tree', () => {
  const walk = (...layers: RawMember[][]): string => {
    let tree = emptyTree();
    for (const members of layers) tree = tree.apply(tocOf(members));
    return [...tree.walk()].map(([path, { type }]) => `${letters[type] ?? '+'}${path}`).join(' ');
  };
  const base = [d('a'), f('a/x'), f('a/y'), d('a/s'), f('a/s/z'), f('f'), l('l', 'a')];

  test.each<[string, RawMember[], string]>([
    ['a whiteout removes', [f('a/.wh.x'), f('.wh.f')], '/a /a/s +a/s/z +a/y @l'],
    ['a whiteout of a directory removes all of it', [f('.wh.a')], '+f @l'],
    ['a whiteout of nothing does nothing', [f('.wh.none')], '/a /a/s +a/s/z +a/x +a/y +f @l'],
    ['an opaque directory hides what is below', [f('a/new'), f('a/.wh..wh..opq')], '/a +a/new +f @l'],
    ['an opaque root hides everything', [f('n'), f('.wh..wh..opq')], '+n'],
    ['a whiteout never hides its own layer', [d('a'), f('a/new'), f('.wh.a')], '/a +a/new +f @l'],
    ['a directory merges', [d('a'), f('a/new')], '/a +a/new /a/s +a/s/z +a/x +a/y +f @l'],
    ['a file replaces a directory', [f('a')], '+a +f @l'],
    ['a directory replaces a file', [d('f'), f('f/in')], '/a /a/s +a/s/z +a/x +a/y /f +f/in @l'],
    ['a directory that is only implied replaces a link', [f('l/in')], '/a /a/s +a/s/z +a/x +a/y +f /l +l/in'],
  ])('%s', (_, members, wanted) => {
    expect(walk(base, members)).toBe(wanted);
  });

  test('an implied directory keeps the attributes it has below, or is 0755', () => {
    const tree = emptyTree()
      .apply(tocOf([{ name: 'tmp', flag: '5', mode: '0001777\0', uid: '0000005\0' }]))
      .apply(tocOf([f('tmp/a'), f('new/deep/b')]));
    expect(tree.get(toBytes('tmp'))).toMatchObject({ mode: 0o1777, uid: 5 });
    expect(tree.get(toBytes('new/deep'))).toMatchObject({ type: 'dir', mode: 0o755, uid: 0, mtime: 0 });
  });

  test('a hard link to a lower layer shares its inode, and a changed name leaves it', () => {
    const lower = emptyTree().apply(tocOf([f('a', 'content')]));
    const linked = lower.apply(tocOf([h('b', 'a')]));
    const inode = linked.get(toBytes('a'))?.inode;
    expect(inode).toBeDefined();
    expect(linked.get(toBytes('b'))).toEqual(linked.get(toBytes('a')));
    expect(lower.get(toBytes('a'))?.inode).toBeUndefined();
    const changed = linked.apply(tocOf([f('a', 'other')]));
    expect(changed.get(toBytes('a'))?.inode).toBeUndefined();
    expect(changed.get(toBytes('b'))?.inode).toBe(inode);
    expect(() => lower.apply(tocOf([h('b', 'none')]))).toThrow(
      expect.objectContaining({ code: 'ARCHIVE_INVALID' }),
    );
  });

  test('trees are immutable, whatever is applied to them', () => {
    const tree = emptyTree().apply(tocOf(base));
    const before = [...tree.walk()];
    tree.list(toBytes('a'));
    const left = tree.apply(tocOf([f('a/left'), f('a/s/.wh.z'), f('.wh.f')]));
    const right = tree.apply(tocOf([f('a/right'), d('a/s'), f('a/s/more')]));
    expect([...tree.walk()]).toEqual(before);
    expect(left.list(toBytes('a'))).toEqual(['left', 's', 'x', 'y']);
    expect(right.list(toBytes('a'))).toEqual(['right', 's', 'x', 'y']);
    expect(left.list(toBytes('a/s'))).toEqual([]);
    expect(right.list(toBytes('a/s'))).toEqual(['more', 'z']);
  });
});

describe('lookups', () => {
  const tree = emptyTree().apply(
    tocOf([
      d('usr/lib'),
      f('usr/lib/x'),
      l('lib', 'usr/lib'),
      l('abs', '/usr'),
      l('up', '../../../lib'),
      l('self', 'self'),
      l('dangling', 'nowhere/x'),
      l('usr/lib/back', '..'),
      l('chain', 'abs/lib/back/lib/x'),
      l('root', '/'),
    ]),
  );
  const b = toBytes;

  test.each([
    ['lib/x', 'usr/lib/x', 'usr/lib/x'],
    ['lib', 'lib', 'usr/lib'],
    ['/lib//./x/', 'usr/lib/x', 'usr/lib/x'],
    ['abs/lib/new/deep', 'usr/lib/new/deep', 'usr/lib/new/deep'],
    ['up/x', 'usr/lib/x', 'usr/lib/x'],
    ['usr/lib/back/lib', 'usr/lib', 'usr/lib'],
    ['chain', 'chain', 'usr/lib/x'],
    ['dangling', 'dangling', 'nowhere/x'],
    ['dangling/y', 'nowhere/x/y', 'nowhere/x/y'],
    ['../../..', '', ''],
    ['', '', ''],
    ['root', 'root', ''],
    ['root/lib/x', 'usr/lib/x', 'usr/lib/x'],
    ['none/../lib/x', 'usr/lib/x', 'usr/lib/x'],
  ])('%j lies at %j, with its last link followed at %j', (path, place, followed) => {
    expect(tree.resolve(b(path))).toBe(place);
    expect(tree.resolve(b(path), { followLast: true })).toBe(followed);
  });

  test('links in a circle are an error', () => {
    expect(() => tree.resolve(b('self/x'))).toThrow(expect.objectContaining({ code: 'LINK_LOOP' }));
    expect(tree.resolve(b('self'))).toBe('self');
  });

  test('get, list and walk follow no link', () => {
    expect(tree.get(b('lib/x'))).toBeUndefined();
    expect(tree.get(b('usr/lib/x/y'))).toBeUndefined();
    expect(tree.get(b(''))).toMatchObject({ type: 'dir', mode: 0o755 });
    expect(tree.list(b('lib'))).toEqual([]);
    expect(tree.list(b('usr/lib'))).toEqual(['back', 'x']);
    expect([...tree.walk(b('usr'))].map(([path]) => path)).toEqual(['usr/lib', 'usr/lib/back', 'usr/lib/x']);
    expect([...tree.walk(b('none'))]).toEqual([]);
  });
});
