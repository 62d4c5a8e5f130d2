import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { call, mustCall } from '../compare/engine.ts';
import { storeForFile, withBases } from '../support/image-store.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';

const store = storeForFile();

function project(dockerfile: string): string {
  const folder = scratchFolder();
  writeFileSync(join(folder, 'Dockerfile'), dockerfile);
  writeFileSync(join(folder, 'a.txt'), 'a\n');
  return folder;
}

describe('an image with a build record', () => {
  skipBecause(unlessRoot());
  const clean =
    'FROM busybox AS b\nCOPY a.txt /\nRUN cat a.txt a.txt > twice\nFROM scratch\nCOPY --from=b /twice /\n';

  test('is proved to be the same, and leaves the store as it was', () => {
    withBases(store, 'busybox:latest');
    const cwd = project(clean);
    mustCall(store, ['build', '-q', '-t', 'prove:1', '.'], { cwd });
    const before = readFileSync(join(store.root, 'index.json'), 'utf8');
    expect(mustCall(store, ['prove', 'prove:1', '.'], { cwd })).toMatch(/^SAME sha256:/);
    expect(readFileSync(join(store.root, 'index.json'), 'utf8')).toBe(before);
    expect(call(store, ['fsck'])).toMatchObject({ status: 0 });
  });

  test('differs when a file of the context has changed, which is named', () => {
    const cwd = project(clean);
    writeFileSync(join(cwd, 'a.txt'), 'other\n');
    const { status, stdout } = call(store, ['prove', 'prove:1', '.'], { cwd });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^DIFFERENT/);
    expect(stdout).toContain('input: a.txt is not as it was (content)');
    expect(stdout).toContain('/twice');
  });

  test('an image without one is refused', () => {
    expect(call(store, ['prove', 'busybox']).stderr).toContain('error[RECORD_NOT_FOUND]');
  });

  test('a failed verification tags nothing', () => {
    const cwd = project('FROM busybox\nRUN head -c 8 /dev/urandom > /r\n');
    const { status, stderr } = call(store, ['build', '--verify', '-t', 'bad:1', '.'], { cwd });
    expect(status).toBe(1);
    expect(stderr).toContain('error[NOT_REPRODUCIBLE]');
    expect(call(store, ['inspect', 'bad:1']).status).not.toBe(0);
  });

  test('a locked base stays when its tag moves, until the lock is updated', () => {
    const cwd = project('FROM moving:1\n');
    mustCall(store, ['tag', 'busybox', 'moving:1']);
    const build = () => mustCall(store, ['build', '-q', '--lock', '.'], { cwd }).trim();
    const first = build();
    mustCall(store, ['tag', 'prove:1', 'moving:1']);
    expect(build()).toBe(first);
    mustCall({ ...store, env: { ...store.env, CAIRN_OFFLINE: '1' } }, ['lock', 'update', 'moving:1'], {
      cwd,
    });
    expect(build()).not.toBe(first);
    rmSync(join(cwd, 'Dockerfile.lock'));
  });
});
