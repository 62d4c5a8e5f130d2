import { describe, expect, test } from 'vitest';
import { TocBuilder } from '../../src/store/layer/index.ts';
import { describeTree, OverlayStack } from '../support/overlay-stack.ts';
import { randomFrom } from '../support/random-layer.ts';
import { type RawMember, rawTar } from '../support/raw-tar.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

/** A layer as careless tools make them: missing parents, whiteouts and opaque marks anywhere, names used again. */
function carelessLayer(random: (limit: number) => number): RawMember[] {
  const name = (): string => Array.from({ length: 1 + random(3) }, () => 'abc'[random(3)]).join('/');
  const members: RawMember[] = [];
  for (let i = 0; i < 3 + random(8); i++) {
    const path = name();
    const parent = path.includes('/') ? path.slice(0, path.lastIndexOf('/') + 1) : '';
    const mode = ['0000755\0', '0000700\0', '0001777\0'][random(3)]!;
    const kinds: (() => RawMember)[] = [
      () => ({ name: path, body: `${path} ${i}`, mode: '0004755\0', uid: '0000007\0' }),
      () => ({ name: path, body: 'same' }),
      () => ({ name: `${path}/`, flag: '5', mode, mtime: '00000000777\0' }),
      () => ({ name: `${path}/`, flag: '5', mode }),
      () => ({ name: path, flag: '2', link: '/c' }),
      () => ({ name: `${parent}.wh.${path.slice(parent.length)}` }),
      () => ({ name: `${path}/.wh..wh..opq` }),
      () => ({ name: path, flag: '3', major: '0000001\0', minor: '0000003\0' }),
    ];
    members.push(kinds[random(kinds.length)]!());
  }
  return members;
}

describe('layers that others made', () => {
  skipBecause(unlessRoot());
  test.each(Array.from({ length: 120 }, (_, seed) => seed))('stack %i mounts as its tree says', (seed) => {
    const random = randomFrom(seed);
    const stack = new OverlayStack();
    try {
      for (let layers = 0; layers < 4; ) {
        const tar = rawTar(carelessLayer(random));
        const builder = new TocBuilder();
        try {
          builder.write(tar);
          stack.push(builder.finish(), tar);
          layers += 1;
        } catch (error) {
          // A name below a file and the like: such a layer is refused as a whole.
          expect(error).toMatchObject({ code: 'ARCHIVE_INVALID' });
        }
      }
      const { merged } = stack.run('true');
      expect(describeTree(merged, Number.POSITIVE_INFINITY)).toEqual(
        describeTree(stack.tree, Number.POSITIVE_INFINITY),
      );
    } finally {
      stack.remove();
    }
  });

  test('a hard link to a lower layer is copied in, with everything it has', () => {
    const stack = new OverlayStack();
    try {
      const push = (members: RawMember[]): void => {
        const tar = rawTar(members);
        const builder = new TocBuilder();
        builder.write(tar);
        stack.push(builder.finish(), tar);
      };
      push([
        { name: 'd/', flag: '5', mode: '0000711\0' },
        { name: 'd/a', body: 'content', mode: '0004711\0', uid: '0000012\0', mtime: '00000000100\0' },
        { name: 's', flag: '2', link: 'x' },
        { name: 'p', flag: '6' },
      ]);
      push([
        { name: 'd/b', flag: '1', link: 'd/a' },
        { name: 'c', flag: '1', link: 'd/a' },
        { name: 't', flag: '1', link: 's' },
        { name: 'q', flag: '1', link: 'p' },
      ]);
      const { merged } = stack.run('true');
      const plain = (tree: typeof merged): unknown[] =>
        describeTree(tree, 1e12).map(({ first: _, ...rest }) => rest);
      expect(plain(merged)).toEqual(plain(stack.tree));
    } finally {
      stack.remove();
    }
  });
});
