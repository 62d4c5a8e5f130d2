import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { findExecutable } from '../../src/run/find-executable.ts';
import { scratchFolder } from '../support/scratch.ts';

const root0 = { uid: 0, gid: 0, additionalGids: [] };
const other = { uid: 1000, gid: 1000, additionalGids: [] };

/** An ELF header for x64 or another machine, with a loader when named. */
function elf(machine: number, loader?: string): Buffer {
  const program = Buffer.alloc(512);
  program.write('\x7fELF\x02\x01\x01', 'latin1');
  program.writeUInt16LE(machine, 18);
  program.writeBigUInt64LE(64n, 32);
  program.writeUInt16LE(56, 54);
  program.writeUInt16LE(loader === undefined ? 0 : 1, 56);
  if (loader === undefined) return program;
  program.writeUInt32LE(3, 64);
  program.writeBigUInt64LE(256n, 64 + 8);
  program.writeBigUInt64LE(BigInt(loader.length + 1), 64 + 32);
  program.write(loader, 256, 'latin1');
  return program;
}

const native = process.arch === 'arm64' ? 183 : 62;

function makeRoot(): string {
  const root = join(scratchFolder(), 'root');
  for (const folder of ['bin', 'opt', 'work', 'lib']) mkdirSync(join(root, folder), { recursive: true });
  const programs: Record<string, [content: string | Buffer, mode: number]> = {
    'bin/sh': [elf(native), 0o755],
    'bin/tool': ['#!/bin/sh\n', 0o755],
    'opt/tool': ['#!/bin/sh -e\n', 0o755],
    'opt/plain': ['#!/bin/sh\n', 0o644],
    'bin/plain': ['#!/bin/sh\n', 0o755],
    'opt/mine': ['#!/bin/sh\n', 0o700],
    'work/here': ['#!/bin/sh\n', 0o755],
    'bin/linked-elf': [elf(native, '/lib/ld.so'), 0o755],
    'bin/musl-elf': [elf(native, '/lib/ld-musl.so'), 0o755],
    'bin/foreign': [elf(8), 0o755],
    'bin/empty': ['', 0o755],
    'bin/bad-script': ['#!/bin/bash\n', 0o755],
    'bin/blank-script': ['#! \t/bin/sh -x\n', 0o755],
    'lib/ld.so': [elf(native), 0o755],
  };
  for (const [path, [content, mode]] of Object.entries(programs)) {
    writeFileSync(join(root, path), content, { mode });
  }
  symlinkSync('/bin/sh', join(root, 'opt/shell'));
  return root;
}

describe('finding the program of a command', () => {
  const env = ['PATH=/opt::/bin'];
  test.each([
    ['tool', root0, '/opt/tool'],
    ['plain', root0, '/bin/plain'],
    ['mine', root0, '/opt/mine'],
    ['shell', root0, '/opt/shell'],
    ['here', root0, '/work/./here'],
    ['/bin/tool', root0, '/bin/tool'],
    ['./here', root0, '/work/./here'],
    ['../bin/sh', root0, '/work/../bin/sh'],
    ['linked-elf', root0, '/bin/linked-elf'],
    ['blank-script', root0, '/bin/blank-script'],
  ] as const)('%s is found', (name, user, path) => {
    expect(findExecutable({ root: makeRoot(), name, env, cwd: '/work', user })).toEqual({ path });
  });

  test.each([
    ['nothing', root0, 127, 'exec: "nothing": executable file not found in $PATH'],
    ['mine', other, 127, 'exec: "mine": executable file not found in $PATH'],
    ['/opt/mine', other, 126, 'exec: "/opt/mine": permission denied'],
    ['/opt/plain', root0, 126, 'exec: "/opt/plain": permission denied'],
    ['/opt', root0, 126, 'exec: "/opt": is a directory'],
    ['/opt/none', root0, 127, 'exec: "/opt/none": stat /opt/none: no such file or directory'],
    ['musl-elf', root0, 127, 'exec /bin/musl-elf: no such file or directory'],
    ['bad-script', root0, 127, 'exec /bin/bad-script: no such file or directory'],
  ] as const)('%s as %o is not', (name, user, exitCode, message) => {
    expect(findExecutable({ root: makeRoot(), name, env, cwd: '/work', user })).toEqual({
      exitCode,
      message,
    });
  });

  test('uses the last PATH, and the default one without any', () => {
    const root = makeRoot();
    const query = { root, name: 'sh', cwd: '/', user: root0 };
    expect(findExecutable({ ...query, env: ['PATH=/opt', 'PATH=/bin'] })).toEqual({ path: '/bin/sh' });
    expect(findExecutable({ ...query, env: [] })).toEqual({ path: '/bin/sh' });
    expect(findExecutable({ ...query, env: ['PATH='] })).toMatchObject({ exitCode: 127 });
  });
});
