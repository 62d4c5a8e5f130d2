import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSandbox } from '../../src/run/index.ts';
import { Bench, hostEnv, whyNot } from '../run/sandbox-harness.ts';
import { skipBecause } from '../support/skip-because.ts';

/** A PATH on which crun is a program that only complains. */
function brokenCrun(bench: Bench): { readonly PATH: string } {
  const folder = bench.hostFolder('programs');
  writeFileSync(join(folder, 'crun'), '#!/bin/sh\necho broken >&2\nexit 1\n', { mode: 0o755 });
  return { PATH: `${folder}:${hostEnv.PATH}` };
}

/** Remembers everything in memory. */
class Memory extends Set<string> {
  remove(name: string): void {
    this.delete(name);
  }
}

describe('a sandbox that was tried out before', () => {
  skipBecause(whyNot);

  test('is remembered under a name for the program as it is', async () => {
    const tried = new Memory();
    const first = await openSandbox({ env: hostEnv, tried });
    const names = [...tried];
    expect(await openSandbox({ env: hostEnv, tried })).toMatchObject({ kind: first.kind });
    expect([...tried]).toEqual(names);
    expect(names).toHaveLength(first.kind === 'builtin' ? 0 : 1);
    for (const name of names) expect(name).toMatch(/^[0-9a-f]{32}$/);
  });

  test('is not tried out again; one that has ceased to work is forgotten', async () => {
    const bench = new Bench();
    const asked: string[] = [];
    const removed: string[] = [];
    const tried = {
      has: (name: string) => asked.push(name) > 0,
      add: () => undefined,
      remove: (name: string) => removed.push(name),
    };
    const sandbox = await openSandbox({ env: brokenCrun(bench), tried });
    expect(sandbox.kind).toBe('crun');
    expect(removed).toEqual([]);
    const { exitCode } = await sandbox.run(bench.spec(['true'])).done.catch((error: { code: string }) => {
      expect(error.code).toBe('SANDBOX_FAILED');
      return { exitCode: null };
    });
    expect(exitCode === null ? removed : []).toEqual(exitCode === null ? asked : []);
  });

  test('that never worked is not remembered', async () => {
    const tried = new Memory();
    const sandbox = await openSandbox({ env: brokenCrun(new Bench()), tried });
    expect(sandbox.kind).not.toBe('crun');
  });
});
