import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scratchFolder } from '../support/scratch.ts';
import { cairn } from './support/test-host.ts';

/** A store with two builds of one Dockerfile, between which a file changed. */
async function built() {
  const folder = scratchFolder();
  const [root, context] = [join(folder, 'store'), join(folder, 'context')];
  mkdirSync(join(context, 'src'), { recursive: true });
  const file = (path: string, content: string) => writeFileSync(join(context, path), content);
  file('Dockerfile', 'FROM scratch\nARG API_TOKEN=hunter2\nENV A=b\nCOPY src /src\nWORKDIR /w\n');
  file('src/a', 'one');
  file('src/b', 'one');
  await cairn({ root }, 'build', '-t', 'app:1', context);
  file('src/b', 'two');
  const second = await cairn({ root }, 'build', '-t', 'app:2', context);
  return { root, context, file, second };
}

describe('the cache', () => {
  test('a build says in one line why a step was executed, and where a cached result comes from', async () => {
    const { root, context, second } = await built();
    expect(second.stderr).toMatch(/^#\d+ not cached: src\/b changed \(content\), 1 of 2 files$/m);
    const third = await cairn({ root }, 'build', context);
    expect(third.stderr).toMatch(/^#1 cached: from \d{4}-\d\d-\d\dT[\d:.]+Z\n#1 CACHED$/m);
  });

  test('ls shows a row for each step, and what keeps it', async () => {
    const { root } = await built();
    const { stdout } = await cairn({ root }, 'cache', 'ls');
    const [header, ...rows] = stdout.trimEnd().split('\n');
    expect(header).toMatch(/^CACHE ID +STEP +SIZE +CREATED +LAST USED +KEPT BY$/);
    expect(rows).toHaveLength(4);
    expect(stdout).toMatch(/COPY src \/src +[\d.]+kB +\S.* ago +\S.* ago +image app:[12]/);
    const all = await cairn({ root }, 'cache', 'ls', '-aq');
    expect(all.stdout.trimEnd().split('\n').length).toBeGreaterThan(4);
    const json = await cairn({ root }, 'cache', 'list', '--format', '{{.Why}}');
    expect(json.stdout).toContain('src/b changed (content), 1 of 2 files\n');
  });

  test('why explains a step by text and by ID, without secrets', async () => {
    const { root } = await built();
    const { code, stdout, stderr } = await cairn({ root }, 'cache', 'why', 'copy src');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^COPY src \/src\n {2}why executed +src\/b changed \(content\), 1 of 2 files\n/);
    expect(stdout).toMatch(/\n {2}files +src\/a file 644 0:0 3 bytes [0-9a-f]{12}\n/);
    expect(stdout).not.toContain('hunter2');
    expect(stderr).toMatch(/^1 older record is like "copy src" too: [0-9a-f]{12}\n$/);
    const [, id = ''] = /cache ID +sha256:([0-9a-f]+)/.exec(stdout) ?? [];
    expect((await cairn({ root }, 'cache', 'why', id.slice(0, 8))).stdout).toBe(stdout);
  });

  test('why of nothing that is there is an error', async () => {
    const { root } = await built();
    const { code, stderr } = await cairn({ root }, 'cache', 'why', 'RUN make');
    expect(code).toBe(1);
    expect(stderr).toContain('error[CACHE_RECORD_NOT_FOUND]: no step in the cache is like "RUN make"');
  });

  test('--dry-run prints a verdict for each step and builds nothing', async () => {
    const { root, context, file } = await built();
    file('src/a', 'new');
    const before = await cairn({ root }, 'images', '-q');
    const { code, stdout, stderr } = await cairn({ root }, 'build', '--dry-run', '-t', 'app:3', context);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^MISS {4}\[1\/2\] COPY src \/src: src\/a changed \(content\), 1 of 2 files\nUNKNOWN /,
    );
    expect(stderr).toBe('0 of 2 steps are in the cache, 1 would be executed, 1 cannot be told\n');
    expect(await cairn({ root }, 'images', '-q')).toEqual(before);
  });

  test('--require-cached fails with the reason, or builds', async () => {
    const { root, context, file } = await built();
    expect((await cairn({ root }, 'build', '--require-cached', context)).code).toBe(0);
    file('src/a', 'new');
    const { code, stderr } = await cairn({ root }, 'build', '--require-cached', context);
    expect(code).toBe(1);
    expect(stderr).toContain(
      'error[NOT_CACHED]: the result of "COPY src /src" is not in the cache: src/a changed (content), 1 of 2 files',
    );
  });

  test('system df -v says what keeps images and results', async () => {
    const { root, context } = await built();
    await cairn({ root }, 'rmi', 'app:1');
    await cairn({ root }, 'build', '--build-arg', 'X=1', context);
    const { stdout } = await cairn({ root }, 'system', 'df', '-v');
    expect(stdout).toMatch(/^app +2 .* its name$/m);
    expect(stdout).toMatch(/regular .* image app:2$/m);
    expect(stdout).toMatch(/regular .* the cache only: "builder prune" takes it$/m);
  });

  test('--keep-storage takes what was used least, and nothing that the build has used', async () => {
    const { root, context, file } = await built();
    await cairn({ root }, 'rmi', 'app:1', 'app:2');
    file('src/b', 'three');
    const { code, stderr } = await cairn({ root }, 'build', '--keep-storage', '0', '-t', 'x', context);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^removed \d+ of the least used from the cache: [\d.]+kB$/m);
    // Three records of WORKDIR share one layer, which is needed: taking two of them would free nothing.
    expect((await cairn({ root }, 'cache', 'ls')).stdout.match(/COPY src/g)).toHaveLength(1);
    expect((await cairn({ root }, 'build', '--require-cached', context)).code).toBe(0);
    const env = { CAIRN_KEEP_STORAGE: 'much' };
    expect((await cairn({ root, env }, 'build', context)).code).not.toBe(0);
  });
});
