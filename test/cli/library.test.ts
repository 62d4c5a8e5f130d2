import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundledCairn } from './support/bundled-cairn.ts';

const cairn = bundledCairn();

test('the example of docs/library.md does what it says', () => {
  const page = readFileSync(new URL('../../docs/library.md', import.meta.url), 'utf8');
  const example = /```js\n(.*?)```/s.exec(page)?.[1] ?? '';
  const folder = join(cairn.folder(), 'example');
  mkdirSync(join(folder, 'context'), { recursive: true });
  writeFileSync(join(folder, 'context/Dockerfile'), 'FROM scratch\nCOPY hello.txt /\n');
  writeFileSync(join(folder, 'context/hello.txt'), 'hello\n');
  // The package is not installed beside the test: its bundle stands for it.
  writeFileSync(join(folder, 'example.mjs'), example.replace("from 'cairn'", "from '../dist/index.js'"));
  const { stdout, stderr, status } = spawnSync(process.execPath, ['example.mjs'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  expect(stdout.split('\n').slice(0, 4)).toEqual([
    '2: copy, 3: cmd',
    'step 1: executed',
    'step 1: cached',
    'same image: true',
  ]);
  expect(stdout.split('\n')[4]).toContain('nosuch');
  expect(existsSync(join(folder, 'hello.tar'))).toBe(true);
});

test('the library imports nothing of the command line', () => {
  const entry = readFileSync(new URL('../../src/index.ts', import.meta.url), 'utf8');
  expect(entry).not.toContain('/cli/');
});
