import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LockFile } from '../../src/builder/lock-file.ts';
import { digestOf, parseReference } from '../../src/oci/index.ts';
import type { ImageRecord } from '../../src/store/index.ts';
import { scratchFolder } from '../support/scratch.ts';

const platform = { os: 'linux', architecture: 'amd64' };
const image = (text: string) =>
  ({
    id: digestOf(text),
    manifestDigest: digestOf(`${text} manifest`),
    repoDigests: [],
    tags: [],
  }) as unknown as ImageRecord;

test('a lock file has the same bytes whatever the order in which names were found', () => {
  const folder = scratchFolder();
  const texts = [
    ['a', 'b:1'],
    ['b:1', 'a'],
  ].map((names, i) => {
    const lock = LockFile.read(join(folder, `${i}.lock`));
    for (const name of names) lock.set(parseReference(name), platform, image(name));
    lock.save();
    return readFileSync(lock.path, 'utf8');
  });
  expect(texts[1]).toBe(texts[0]);
  expect(LockFile.read(join(folder, '0.lock')).find(parseReference('a:latest'), platform)?.image).toBe(
    digestOf('a'),
  );
});

test('a name with a digest is not locked, and nothing is written when nothing changed', () => {
  const path = join(scratchFolder(), 'x.lock');
  const lock = LockFile.read(path);
  lock.set(parseReference(`a@${digestOf('x')}`), platform, image('a'));
  lock.save();
  expect(() => readFileSync(path)).toThrow();
});

test.each(['{', '{"version":2,"images":[]}', '{"version":1,"images":[{"name":"a"}]}'])(
  '%s is no lock file',
  (text) => {
    const path = join(scratchFolder(), 'x.lock');
    writeFileSync(path, text);
    expect(() => LockFile.read(path)).toThrow(expect.objectContaining({ code: 'LOCK_INVALID' }));
  },
);
