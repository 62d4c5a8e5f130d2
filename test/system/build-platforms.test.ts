import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { call, mustCall } from '../compare/engine.ts';
import { temporaryFolder } from '../compare/fixture.ts';
import { foreignPrograms, runsForeignPrograms } from '../support/foreign-programs.ts';
import { storeForFile, withBases } from '../support/image-store.ts';
import { firstOf, skipBecause, unlessRoot } from '../support/skip-because.ts';

const store = storeForFile();
const folder = temporaryFolder('cairn-platforms-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function context(name: string, dockerfile: string): string {
  const path = join(folder, name);
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'Dockerfile'), dockerfile);
  return path;
}

describe('O19: building for another processor', () => {
  const needs = firstOf(
    unlessRoot(),
    process.arch === 'arm64' ? 'this machine is the foreign one' : undefined,
  );
  const programs = needs === undefined ? foreignPrograms() : needs;
  skipBecause(typeof programs === 'string' ? programs : undefined);
  afterAll(() => (typeof programs === 'string' ? undefined : programs.release()));
  const busybox = typeof programs === 'string' ? '' : programs.busybox;

  /** An image for arm64 with a shell, made by its own program. */
  function foreignBase(): void {
    const path = context(
      'base',
      'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n',
    );
    cpSync(busybox, join(path, 'busybox'));
    mustCall(store, ['build', '-q', '--platform', 'linux/arm64', '-t', 'base-arm64', path]);
  }

  test.each(['builtin', 'crun', 'runc'])(
    'RUN goes through the emulator, in the sandbox %s too, and sees the platform',
    (sandbox) => {
      foreignBase();
      const path = context(
        'run',
        'FROM base-arm64\nARG TARGETPLATFORM BUILDPLATFORM\nRUN uname -m > /m; echo $TARGETPLATFORM $BUILDPLATFORM > /p\n',
      );
      const flags = [
        '--no-cache',
        '--sandbox',
        sandbox,
        '--platform',
        'linux/arm64',
        '-o',
        join(folder, sandbox),
      ];
      const built = call(store, ['build', '-q', ...flags, path]);
      if (built.stderr.includes('SANDBOX_UNAVAILABLE')) return;
      expect(built.status, built.stderr).toBe(0);
      expect(readFileSync(join(folder, sandbox, 'm'), 'utf8')).toBe('aarch64\n');
      expect(readFileSync(join(folder, sandbox, 'p'), 'utf8')).toBe('linux/arm64 linux/amd64\n');
    },
  );

  test('a list of platforms is one name, from which run, save and FROM take the wanted one', () => {
    foreignBase();
    withBases(store, 'busybox:latest');
    mustCall(store, ['tag', 'busybox', 'base-amd64']);
    const path = context(
      'list',
      'ARG TARGETARCH\nFROM base-$TARGETARCH\nRUN uname -m > /m\nCMD ["cat", "/m"]\n',
    );
    const both = ['--platform', 'linux/amd64,linux/arm64'];
    mustCall(store, ['build', '-q', ...both, '-t', 'list', path]);
    expect(mustCall(store, ['run', '--rm', 'list'])).toBe('x86_64\n');
    expect(mustCall(store, ['run', '--rm', '--platform', 'linux/arm64', 'list'])).toBe('aarch64\n');
    const child = context('child', 'FROM --platform=linux/arm64 list AS a\nFROM list\nCOPY --from=a /m /a\n');
    mustCall(store, ['build', '-q', ...both, '-o', join(folder, 'child-out'), child]);
    for (const [name, own] of [
      ['linux_amd64', 'x86_64\n'],
      ['linux_arm64', 'aarch64\n'],
    ] as const) {
      expect(readFileSync(join(folder, 'child-out', name, 'm'), 'utf8')).toBe(own);
      expect(readFileSync(join(folder, 'child-out', name, 'a'), 'utf8')).toBe('aarch64\n');
    }
    const archive = join(folder, 'list.tar');
    mustCall(store, ['save', '--platform', 'linux/arm64', '-o', archive, 'list']);
    mustCall(store, ['rmi', 'list']);
    mustCall(store, ['load', '-i', archive, '--platform', 'linux/arm64']);
    const format = ['-f', '{{.Architecture}}'];
    expect(mustCall(store, ['image', 'inspect', ...format, 'list'])).toBe('arm64\n');
  });
});

describe('without an emulator', () => {
  skipBecause(
    firstOf(unlessRoot(), runsForeignPrograms() ? 'this machine runs programs for arm64' : undefined),
  );

  test('a RUN for another processor says what is missing', () => {
    // The head of a program for arm64 is enough: it is refused before it would start.
    const path = context('foreign', 'FROM scratch\nCOPY --chmod=755 program /program\nRUN ["/program"]\n');
    const head = Buffer.alloc(4096);
    head.write('7f454c46020101000000000000000000', 'hex');
    head.writeUInt16LE(2, 16);
    head.writeUInt16LE(183, 18);
    writeFileSync(join(path, 'program'), head);
    const built = call(store, ['build', '--platform', 'linux/arm64', path]);
    expect(built.status).toBe(1);
    expect(built.stderr).toContain('error[EXEC_FORMAT]');
    expect(built.stderr).toContain('help: install qemu-user-static');
  });
});
