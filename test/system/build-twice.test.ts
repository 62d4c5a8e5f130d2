import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { basesUsed, call, importBases, mustCall } from '../compare/engine.ts';
import { type Fixture, obstacle, stage } from '../compare/fixture.ts';
import { fixturesWithoutRun } from '../support/fixtures-without-run.ts';
import { storeForFile, type TestStore } from '../support/image-store.ts';
import { scratchFolder } from '../support/scratch.ts';
import { skipBecause } from '../support/skip-because.ts';

describe('two builds without RUN, in two stores, at two times', () => {
  const stores = [storeForFile(), storeForFile()] as const;

  describe.each(fixturesWithoutRun())('of $name', (fixture) => {
    skipBecause(obstacle(fixture));

    test('give the same image ID and the same archive', () => {
      const folder = scratchFolder();
      const saved = stores.map((store, i) =>
        buildAt(store, fixture, i * 86_400 * 400, join(folder, `${i}.tar`)),
      );
      expect(saved[1]).toEqual(saved[0]);
    });

    test('give the same image ID with --no-cache as from the cache', () => {
      const [first, second] = [['--no-cache'], []].map((args) => idOf(stores[0], fixture, args));
      expect(second).toBe(first);
    });
  });

  test('save twice writes the same bytes, several images in one archive', () => {
    const [store] = stores;
    const names = ['twice-a:1', 'twice-b:2'];
    const fixture = fixturesWithoutRun().find(({ name }) => name === 'scratch')!;
    const context = stage(fixture);
    for (const name of names) mustCall(store, ['build', '-q', '-t', name, '.'], { cwd: context });
    rmSync(context, { recursive: true });
    const folder = scratchFolder();
    const digests = [0, 1].map((i) => {
      const target = join(folder, `${i}.tar`);
      mustCall(store, ['save', '-o', target, ...names]);
      return digestOf(target);
    });
    expect(digests[1]).toBe(digests[0]);
    expect(call(store, ['fsck']).status).toBe(0);
  });
});

/** Builds with every time of the context moved by `shift` seconds. */
function buildAt(
  store: TestStore,
  fixture: Fixture,
  shift: number,
  target: string,
): { id: string; archive: string } {
  const context = stage(fixture);
  try {
    touchAll(context, 1_500_000_000 + shift);
    importBases(store, basesUsed(context));
    const id = mustCall(store, ['build', '-q', '-t', 'twice:latest', ...fixture.args, '.'], {
      cwd: context,
    }).trim();
    mustCall(store, ['save', '-o', target, 'twice:latest']);
    return { id, archive: digestOf(target) };
  } finally {
    rmSync(context, { recursive: true });
  }
}

function idOf(store: TestStore, fixture: Fixture, args: readonly string[]): string {
  const context = stage(fixture);
  try {
    return mustCall(store, ['build', '-q', ...args, ...fixture.args, '.'], { cwd: context }).trim();
  } finally {
    rmSync(context, { recursive: true });
  }
}

function touchAll(folder: string, time: number): void {
  const words = [folder, '-exec', 'touch', '--no-dereference', '--date', `@${time}`, '{}', '+'];
  expect(spawnSync('find', words).status).toBe(0);
}

function digestOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
