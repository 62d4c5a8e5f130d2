import { describe, expect, test } from 'vitest';
import { digestSource } from '../../src/builder/copy/source-digest.ts';
import { toBytes } from '../../src/sys/index.ts';
import { memorySource } from './memory-tree.ts';

const options = { contentsOnly: true, mtimeOf: () => 1 };
const digest = (lines: string[], path = 'd') => digestSource(memorySource(lines), toBytes(path), options);

describe('the digest of a source', () => {
  test('is the same for the same tree', () => {
    expect(digest(['d/', 'd/a', 'd/e/b'])).toBe(digest(['d/e/', 'd/e/b', 'd/a']));
  });
  test.each<[string, string[]]>([
    ['a name', ['d/b']],
    ['a mode', ['d/a 600']],
    ['a type', ['d/a/']],
    ['a link', ['d/a -> b']],
    ['a further file', ['d/a', 'd/b']],
    ['an empty folder', ['d/a', 'd/e/']],
    ['where a file lies', ['d/e/', 'd/e/a']],
  ])('differs with %s', (_, other) => {
    expect(digest(other)).not.toBe(digest(['d/a']));
  });
  test('tells a link target from another', () => {
    expect(digest(['d/l -> a'])).not.toBe(digest(['d/l -> ab']));
  });
  test('knows which files are hard links of each other, but not by which number', () => {
    expect(digest(['d/a =1', 'd/b =1'])).toBe(digest(['d/a =7', 'd/b =7']));
    expect(digest(['d/a =1', 'd/b =1'])).not.toBe(digest(['d/a =1', 'd/b =2']));
  });
  test('leaves out the attributes of a folder that stands for its contents', () => {
    expect(digest(['d/ 700', 'd/a'])).toBe(digest(['d/ 755', 'd/a']));
  });
});
