import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { transformSync } from 'esbuild';
import { expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';

test('the example of docs/library.md runs as it stands there', () => {
  const example = /```ts\n(.*?)```/s.exec(readFileSync('docs/library.md', 'utf8'))?.[1];
  expect(example).toBeDefined();
  const folder = scratchFolder();
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(resolve('.'), join(folder, 'node_modules/cairn'));
  writeFileSync(
    join(folder, 'example.mjs'),
    transformSync(example as string, { loader: 'ts', format: 'esm' }).code,
  );
  writeFileSync(join(folder, 'hello.txt'), 'hello\n');
  writeFileSync(join(folder, 'Dockerfile'), 'FROM scratch\nCOPY hello.txt /\n');
  const env = { ...process.env, CAIRN_ROOT: join(folder, 'store') };
  const run = () =>
    execFileSync(process.execPath, ['example.mjs'], { cwd: folder, env, encoding: 'utf8' }).split('\n');
  const first = run();
  expect(first.slice(0, 2)).toEqual(['copy', '1 done']);
  expect(first[2]).toMatch(/^sha256:[0-9a-f]{64} 0 of 1 steps cached$/);
  expect(first[3]).toBe('1 layer');
  const second = run();
  expect(second[1]).toBe('1 cached');
  expect(second[2]?.split(' ')[0]).toBe(first[2]?.split(' ')[0]);
});
