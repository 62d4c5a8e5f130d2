import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { resolveInRoot } from '../../src/run/path-in-root.ts';
import { fromBuffer, fsPath, toBytes } from '../../src/sys/index.ts';
import { scratchFolder } from '../support/scratch.ts';

function makeRoot(): string {
  const root = join(scratchFolder(), 'root');
  mkdirSync(join(root, 'a/b'), { recursive: true });
  writeFileSync(join(root, 'a/file'), '');
  symlinkSync('/a/b', join(root, 'absolute'));
  symlinkSync('../../../a', join(root, 'a/b/up'));
  symlinkSync('/etc/passwd', join(root, 'host'));
  symlinkSync('missing/../x', join(root, 'dangling'));
  symlinkSync('loop', join(root, 'loop'));
  symlinkSync('.', join(root, 'a/dot'));
  return root;
}

describe('resolving inside a root', () => {
  test.each([
    ['/', '', true],
    ['', '', true],
    ['/a/b', 'a/b', true],
    ['//a/./b/', 'a/b', true],
    ['/a/b/..', 'a', true],
    ['/../../a', 'a', true],
    ['/absolute', 'a/b', true],
    ['/absolute/..', 'a', true],
    ['/absolute/up/b/up/file', 'a/file', true],
    ['/a/dot/dot/b', 'a/b', true],
    ['/host', 'etc/passwd', false],
    ['/new/x/y', 'new/x/y', false],
    ['/new/../a/b', 'a/b', true],
    ['/a/new/../../absolute/z', 'a/b/z', false],
    ['/dangling', 'x', false],
  ])('%s is %j', (path, expected, exists) => {
    const found = resolveInRoot(makeRoot(), toBytes(path));
    expect([found.path, found.stats !== undefined]).toEqual([expected, exists]);
  });

  test('says how much of a path exists', () => {
    const root = makeRoot();
    expect(resolveInRoot(root, toBytes('/a/b/c/d')).existing).toBe(2);
    expect(resolveInRoot(root, toBytes('/x/y')).existing).toBe(0);
    expect(resolveInRoot(root, toBytes('/absolute/c')).existing).toBe(2);
  });

  test('refuses loops, and files on the way', () => {
    const root = makeRoot();
    expect(() => resolveInRoot(root, toBytes('/loop/x'))).toThrow(
      expect.objectContaining({ code: 'LINK_LOOP' }),
    );
    expect(() => resolveInRoot(root, toBytes('/a/file/x'))).toThrow(
      expect.objectContaining({ code: 'NOT_A_DIRECTORY' }),
    );
  });

  test('handles names that are not UTF-8', () => {
    const root = makeRoot();
    const name = fromBuffer(Buffer.from([0xff, 0x41]));
    mkdirSync(fsPath(`${root}/${name}` as typeof name));
    symlinkSync(Buffer.from([0xff, 0x41]), join(root, 'raw'));
    expect(resolveInRoot(root, toBytes('/raw')).path).toBe(name);
  });
});
