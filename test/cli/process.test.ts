import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundledCairn, finish } from './support/bundled-cairn.ts';

const cairn = bundledCairn();

// Logs the name of each package that is resolved, by `import` or `require`.
const tracer = `
import Module, { register } from 'node:module';
import { appendFileSync } from 'node:fs';
const log = (name) => {
  if (!/^(?:\\.|\\/|file:|node:|data:)/.test(name) && !Module.isBuiltin(name)) appendFileSync(process.env.TRACE, name + '\\n');
};
const load = Module._load;
Module._load = function (name, ...rest) { log(name); return load.call(this, name, ...rest); };
register('data:text/javascript,' + encodeURIComponent(\`
import Module from 'node:module';
import { appendFileSync } from 'node:fs';
export async function resolve(name, context, next) {
  if (!/^(?:\\\\.|\\\\/|file:|node:|data:)/.test(name) && !Module.isBuiltin(name)) appendFileSync(process.env.TRACE, name + '\\\\n');
  return next(name, context);
}\`));
`;

/** Packages that a command loads, sorted. */
async function loadedBy(...argv: readonly string[]): Promise<readonly string[]> {
  const hook = join(cairn.folder(), 'trace.mjs');
  const trace = join(cairn.folder(), 'trace.txt');
  writeFileSync(hook, tracer);
  writeFileSync(trace, '');
  const { code, stderr } = await cairn.run(argv, { node: ['--import', hook], env: { TRACE: trace } });
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return [...new Set(readFileSync(trace, 'utf8').split('\n'))].filter((name) => name !== '').sort();
}

function makeContext(): string {
  const context = join(cairn.folder(), 'context');
  mkdirSync(context, { recursive: true });
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nARG A=1\nCOPY a /a\nWORKDIR /w\nCMD ["a"]\n');
  writeFileSync(join(context, 'a'), 'a');
  return context;
}

describe('start-up', () => {
  test.each([
    [['--help']],
    [['build', '--help']],
    [['run', '--help']],
    [['image', '--help']],
    [['--version']],
  ])('%j loads no heavy package', async (argv) => {
    const heavy = [
      'koffi',
      'undici',
      'listr2',
      'tar-stream',
      'fzstd',
      'fast-glob',
      'ssri',
      'commander',
      'nearley',
    ];
    expect((await loadedBy(...argv)).filter((name) => heavy.includes(name))).toEqual([]);
  });

  test('the help of everything loads no package at all', async () => {
    expect(await loadedBy('--help')).toEqual([]);
  });

  test('a fully cached build loads only what parses the Dockerfile and checks what was stored', async () => {
    const context = makeContext();
    expect((await cairn.run(['build', '-t', 'x', context])).code).toBe(0);
    const loaded = await loadedBy('build', '-t', 'x', context);
    // koffi lists the extended attributes of the context's files, which are part of cache keys.
    const welcome = ['moo', 'nearley', 'valibot', 'koffi'];
    expect(loaded.filter((name) => !welcome.includes(name) && !name.startsWith('@koromix/'))).toEqual([]);
  });

  test('listing images loads only what checks stored documents', async () => {
    expect((await loadedBy('images')).filter((name) => name !== 'valibot')).toEqual([]);
  });
});

describe('signals and streams', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s while waiting for input ends with %i and leaves a clean store', async (signal, code) => {
    const child = cairn.start(['load'], { stdin: 'pipe' });
    const done = finish(child);
    // Less than a tar header: it waits for more.
    child.stdin?.write(Buffer.alloc(100));
    await new Promise((resolve) => setTimeout(resolve, 400));
    child.kill(signal);
    const outcome = await done;
    expect(outcome).toMatchObject({ code, stdout: '', stderr: `cairn: stopped by ${signal}\n` });
    expect(await cairn.run(['fsck'])).toMatchObject({ code: 0 });
  });

  test('a reader that goes away is no error message', async () => {
    const child = cairn.start(['images', '--format', '{{.ID}}'.repeat(10)]);
    child.stdout?.destroy();
    const { stderr } = await finish(child);
    expect(stderr).toBe('');
  });

  test('a full disk behind standard output is an error', async () => {
    const entry = join(cairn.folder(), 'dist/cli.js');
    const { status, stderr } = spawnSync(
      'sh',
      ['-c', `"${process.execPath}" "${entry}" images > /dev/full`],
      {
        encoding: 'utf8',
        env: { PATH: process.env.PATH, CAIRN_ROOT: join(cairn.folder(), 'store') },
      },
    );
    expect(status).toBe(1);
    expect(stderr).toBe('cairn: cannot write to standard output: ENOSPC: no space left on device, write\n');
  });

  test('nothing but the result is on stdout, and no escape sequence anywhere', async () => {
    const context = makeContext();
    const outcome = await cairn.run(['build', '--no-cache', '--progress', 'auto', context], {
      env: { FORCE_COLOR: '1' },
    });
    expect(outcome).toMatchObject({ code: 0, stdout: '' });
    expect(outcome.stderr).not.toContain('\x1b');
  });

  test('an internal error asks for --debug, which shows where it came from', async () => {
    const root = join(cairn.folder(), 'file-instead-of-store');
    writeFileSync(root, '');
    const plain = await cairn.run(['--root', root, 'images']);
    expect(plain.code).toBe(1);
    expect(plain.stderr).toMatch(/^error\[STORE_INVALID\]|^error\[STORE_NOT_ACCESSIBLE\]/);
    rmSync(root);
  });
});

describe('the store is', () => {
  test.each([
    ['--root before the verb', ['--root', 'ROOT', 'images', '-q'], {}],
    ['--root behind the verb', ['images', '-q', '--root', 'ROOT'], {}],
    ['$CAIRN_ROOT', ['images', '-q'], { CAIRN_ROOT: 'ROOT' }],
  ])('%s', async (_, argv, env) => {
    const root = join(cairn.folder(), 'other-store');
    const put = (text: string): string => text.replace('ROOT', root);
    const context = makeContext();
    const built = await cairn.run(['--root', root, 'build', '-q', '-t', 'y', context]);
    const own = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, put(value)]));
    const listed = await cairn.run(argv.map(put), { env: own });
    expect(listed.stdout).toBe(`${built.stdout.slice(7, 19)}\n`);
  });
});
