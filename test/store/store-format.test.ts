import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseReference } from '../../src/oci/index.ts';
import { readStoreFormat, storeFormat, writeStoreFormat } from '../../src/store/store-format.ts';
import { migrate } from '../../src/store/work-session.ts';
import { scratchFolder } from '../support/scratch.ts';
import { openParts, putImage } from './assemble.ts';

function oldStore() {
  const parts = openParts(join(scratchFolder(), 'store'));
  parts.blobs.put('x');
  parts.session.close();
  writeStoreFormat(parts.paths, 0);
  return parts.paths;
}

test('an older store is raised step by step, once', () => {
  const paths = oldStore();
  const done: number[] = [];
  const steps = { 0: () => void done.push(readStoreFormat(paths) ?? -1) };
  migrate(paths, 0, steps);
  migrate(paths, 0, steps);
  expect(done).toEqual([0]);
  expect(readStoreFormat(paths)).toBe(storeFormat);
});

test('a step that fails leaves the old version, so that it is done again', () => {
  const paths = oldStore();
  const broken = () => {
    throw new Error('power cut');
  };
  expect(() => migrate(paths, 0, { 0: broken })).toThrow('power cut');
  expect(readStoreFormat(paths)).toBe(0);
});

test('a store in which another process works is not migrated under it', () => {
  const paths = oldStore();
  writeStoreFormat(paths, storeFormat);
  const other = openParts(paths.root);
  other.blobs.put('y');
  writeStoreFormat(paths, 0);
  expect(() => migrate(paths, 0, {})).toThrow(expect.objectContaining({ code: 'STORE_BUSY' }));
  other.session.close();
  expect(openParts(paths.root).paths).toEqual(paths);
  expect(readStoreFormat(paths)).toBe(storeFormat);
});

test('a start that was cut off is finished by the next one', () => {
  const root = join(scratchFolder(), 'store');
  fs.mkdirSync(root);
  fs.writeFileSync(join(root, 'cairn-store.json.123.tmp'), '');
  const parts = openParts(root);
  expect(parts.images.list()).toEqual([]);
  parts.blobs.put('x');
  for (const missing of ['oci-layout', 'index.json', 'cache', 'locks'])
    fs.rmSync(join(root, missing), { recursive: true });
  const next = openParts(root);
  const image = putImage(next, ['a']);
  next.images.tag(image.manifestDigest, [parseReference('app')]);
  expect(fs.existsSync(join(root, 'oci-layout'))).toBe(true);
  next.session.close();
});

test('reading a store loads no native code and writes nothing', () => {
  const parts = openParts(join(scratchFolder(), 'store'));
  const image = putImage(parts, ['a']);
  parts.images.tag(image.manifestDigest, [parseReference('app')]);
  parts.session.close();
  const list = () =>
    spawnSync('find', [parts.paths.root, '-printf', '%p %C@ %i\n'], { encoding: 'utf8' }).stdout;
  const before = list();
  const script = `
    const { openStore } = await import(process.argv[1]);
    const { createRequire } = await import('node:module');
    const store = openStore({ root: process.argv[2], now: () => 1 });
    store.images.list();
    store.steps.get(store.images.get('app').id);
    store.statCache('/x').get({ dev: 1, ino: 1, size: 1, mtimeNs: 1n, ctimeNs: 1n });
    store.lease(store.images.get('app').manifestDigest);
    store.images.tag(store.images.get('app').manifestDigest, [{ registry: 'docker.io', repository: 'library/app' }]);
    store.close();
    console.log(Object.keys(createRequire(import.meta.url).cache).filter((path) => /koffi|undici|listr2|fzstd|tar-stream/.test(path)).length);`;
  const module = new URL('../../src/store/index.ts', import.meta.url).href;
  const run = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script, module, parts.paths.root],
    {
      encoding: 'utf8',
    },
  );
  expect(run.stdout.trim(), run.stderr).toBe('0');
  expect(list()).toBe(before);
});
