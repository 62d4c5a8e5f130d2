import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { call, mustCall } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';
import { storeForFile, withBases } from '../support/image-store.ts';
import { skipBecause, unlessRoot } from '../support/skip-because.ts';
import { cleanCommands, type Noise, noises } from '../verify/noise.ts';

// The whole table takes minutes: scripts/noise.sh. Otherwise a slice of it on busybox.
const isWhole = process.env.CAIRN_NOISE === 'all';
const table = [...noises, ...cleanCommands].filter((noise) => isWhole || noise.isQuick);

interface Verified {
  readonly step: string;
  readonly verdict: string;
  readonly findings: readonly {
    readonly path: string;
    readonly cause: string;
    readonly fix: string;
    readonly details: readonly { readonly what: string }[];
  }[];
}

const verified = new Map<Noise, Verified>();
const store = storeForFile();

describe('cairn verify', () => {
  skipBecause(unlessRoot());

  beforeAll(() => {
    if (process.getuid?.() !== 0) return;
    withBases(store);
    for (const base of ['busybox', 'debian:12'] as const) {
      const own = table.filter((noise) => noise.base === base);
      if (own.length > 0) verifyAll(base, own);
    }
  }, 1_200_000);

  test.each(table.filter(({ cause }) => cause !== undefined))('names the cause of $name', (noise) => {
    const { verdict, findings } = verified.get(noise)!;
    expect(verdict).toBe('different');
    expect(findings.map(({ cause }) => cause)).toContain(noise.cause);
    expect(findings.every(({ fix }) => fix !== '')).toBe(true);
    if (noise.says)
      expect(
        findings.flatMap(({ path, details }) => [path, ...details.map(({ what }) => what)]).join('\n'),
      ).toMatch(noise.says);
  });

  test.each(table.filter(({ cause }) => cause === undefined))('does not complain about $name', (noise) => {
    expect(verified.get(noise)).toMatchObject({ verdict: 'same', findings: [] });
  });
});

function verifyAll(base: string, table: readonly Noise[]): void {
  const context = temporaryFolder('cairn-noise-');
  try {
    const runs = table.map(({ command }) =>
      `RUN mkdir -p /out && rm -rf /out/* && { ${command}\n}`.replace('\n}', '; }'),
    );
    writeFileSync(join(context, 'Dockerfile'), `FROM ${base}\n${runs.join('\n')}\n`);
    mustCall(store, ['build', '-q', '-t', 'noise:1', '.'], { cwd: context });
    const { stdout, status } = call(store, ['verify', '--format', 'json', 'noise:1', '.'], { cwd: context });
    expect(status).toBe(table.some(({ cause }) => cause !== undefined) ? 1 : 0);
    const lines = stdout.trim().split('\n');
    for (const [i, noise] of table.entries()) verified.set(noise, JSON.parse(lines[i] ?? 'null') as Verified);
  } finally {
    rmSync(context, { recursive: true });
  }
}
