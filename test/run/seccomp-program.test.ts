import { describe, expect, test } from 'vitest';
import { seccompProgram } from '../../src/run/seccomp-program.ts';
import { syscallNumbers } from '../../src/run/syscall-numbers.ts';

interface Call {
  readonly arch: number;
  readonly number: number;
  readonly args?: readonly bigint[];
}

/** Runs a program as the kernel would. */
function decide(program: Buffer, { arch, number, args = [] }: Call): string {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(arch, 4);
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(value, 16 + 8 * index);
  let accumulator = 0;
  for (let at = 0; ; at++) {
    expect(at).toBeLessThan(program.length / 8);
    const code = program.readUInt16LE(at * 8);
    const [whenTrue, whenFalse] = [program[at * 8 + 2]!, program[at * 8 + 3]!];
    const value = program.readUInt32LE(at * 8 + 4);
    const skip = (isTrue: boolean): void => {
      at += isTrue ? whenTrue : whenFalse;
    };
    if (code === 0x20) accumulator = data.readUInt32LE(value);
    else if (code === 0x05) at += value;
    else if (code === 0x15) skip(accumulator === value);
    else if (code === 0x25) skip(accumulator > value);
    else if (code === 0x35) skip(accumulator >= value);
    else if (code === 0x45) skip((accumulator & value) !== 0);
    else if (code === 0x06) return value === 0x7fff0000 ? 'allow' : `errno ${value & 0xffff}`;
    else throw new Error(`unexpected instruction ${code}`);
  }
}

const arches = { x64: 0xc000003e, i386: 0x40000003, arm64: 0xc00000b7, arm: 0x40000028 } as const;

describe('the seccomp program', () => {
  test.each([
    ['x64', 'x64'],
    ['x64', 'i386'],
    ['arm64', 'arm64'],
    ['arm64', 'arm'],
  ] as const)('on %s allows every unconditional call of %s and refuses the others', (host, arch) => {
    const program = seccompProgram(host)!;
    const numbers = syscallNumbers(arch);
    const known = new Set(numbers.values());
    const conditional = ['clone', 'clone3', 'personality', 'socket'];
    for (const [name, number] of numbers) {
      if (conditional.includes(name)) continue;
      expect([name, decide(program, { arch: arches[arch], number })]).toEqual([name, 'allow']);
    }
    for (let number = 0; number <= 466; number++) {
      if (known.has(number)) continue;
      expect([number, decide(program, { arch: arches[arch], number })]).toEqual([number, 'errno 1']);
    }
    expect(decide(program, { arch: arches[arch], number: 500 })).toBe('errno 38');
  });

  test.each([
    ['clone', [0x11n], 'allow'],
    ['clone', [0x10000011n], 'errno 1'],
    ['clone', [0x20000n], 'errno 1'],
    ['clone3', [], 'errno 38'],
    ['personality', [0n], 'allow'],
    ['personality', [8n], 'allow'],
    ['personality', [0x20008n], 'allow'],
    ['personality', [0xffffffffn], 'allow'],
    ['personality', [0x40000n], 'errno 1'],
    ['socket', [2n], 'allow'],
    ['socket', [40n], 'errno 1'],
    ['socket', [0x100000028n], 'errno 1'],
  ] as const)('answers %s(%s) with %s', (name, args, answer) => {
    for (const [host, arch] of [
      ['x64', 'x64'],
      ['x64', 'i386'],
      ['arm64', 'arm64'],
      ['arm64', 'arm'],
    ] as const) {
      const number = syscallNumbers(arch).get(name)!;
      expect(decide(seccompProgram(host)!, { arch: arches[arch], number, args })).toBe(answer);
    }
  });

  test('refuses calls of a foreign architecture, and x32', () => {
    const program = seccompProgram('x64')!;
    expect(decide(program, { arch: arches.arm64, number: 64 })).toBe('errno 1');
    expect(decide(program, { arch: arches.x64, number: 0x40000000 })).toBe('errno 38');
  });

  test('is small enough for the kernel, which takes 4096 instructions', () => {
    expect(seccompProgram('x64')!.length / 8).toBeLessThan(1000);
    expect(seccompProgram('riscv64')).toBeNull();
  });
});
