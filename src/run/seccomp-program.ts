import {
  type ArgumentTest,
  allowedSyscalls,
  deniedErrno,
  missingErrno,
  missingSyscalls,
} from './seccomp-profile.ts';
import { type SyscallArch, syscallNumbers } from './syscall-numbers.ts';

// A classic BPF program over struct seccomp_data (seccomp(2)): the call's number, the architecture it was made for, its arguments.
const numberOffset = 0;
const archOffset = 4;
const argumentsOffset = 16;

// linux/bpf_common.h
const load = 0x20;
const jumpIfEqual = 0x15;
const jumpIfGreater = 0x25;
const jumpIfAtLeast = 0x35;
const jumpIfBits = 0x45;
const jump = 0x05;
const finish = 0x06;

// linux/seccomp.h
const allow = 0x7fff0000;
const fail = 0x00050000;

/** linux/audit.h */
const auditArch: Readonly<Record<SyscallArch, number>> = {
  x64: 0xc000003e,
  i386: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
};

/** One struct sock_filter. `whenTrue` and `whenFalse` are numbers of instructions to skip. */
interface Instruction {
  readonly code: number;
  readonly whenTrue: number;
  readonly whenFalse: number;
  readonly value: number;
}

/**
 * The seccomp profile as a program for the kernel, for the sandbox that has no OCI runtime to make one: the same calls as in
 * `runtimeConfig`, on the native architecture and its 32-bit companion. x32 calls are refused. A call newer than all that the
 * profile knows is answered with ENOSYS, as runc does, so that programs fall back.
 * @param arch - `process.arch`.
 * @returns null for an architecture whose numbers are not known.
 */
export function seccompProgram(arch: string): Buffer | null {
  const arches: readonly SyscallArch[] | undefined =
    arch === 'x64' ? ['x64', 'i386'] : arch === 'arm64' ? ['arm64', 'arm'] : undefined;
  if (arches === undefined) return null;
  const blocks = arches.map((name) => [name, blockOf(name)] as const);
  const program = [instruction(load, archOffset)];
  for (const [name, block] of blocks) {
    // Conditional jumps reach 255 instructions, unconditional ones any number.
    program.push(branch(jumpIfEqual, auditArch[name], 1, 0), instruction(jump, block.length), ...block);
  }
  program.push(instruction(finish, fail | deniedErrno));
  return encode(program);
}

/** Decides on every call of one architecture. */
function blockOf(arch: SyscallArch): readonly Instruction[] {
  const numbers = syscallNumbers(arch);
  const numbersOf = (names: readonly string[]): readonly number[] =>
    names.flatMap((name) => numbers.get(name) ?? []);
  const block = [instruction(load, numberOffset)];
  for (const number of numbersOf(missingSyscalls)) {
    block.push(branch(jumpIfEqual, number, 0, 1), instruction(finish, fail | missingErrno));
  }
  const tested = new Set(
    allowedSyscalls.filter(({ test }) => test !== undefined).flatMap(({ names }) => names),
  );
  for (const name of tested) {
    const number = numbers.get(name);
    if (number !== undefined) block.push(...conditional(name, number));
  }
  const free = allowedSyscalls
    .filter(({ test }) => test === undefined)
    .flatMap(({ names }) => numbersOf(names));
  // ARM's private calls have numbers far above the common ones.
  const isCommon = (number: number): boolean => number < 0x10000;
  for (const number of free.filter((candidate) => !isCommon(candidate))) {
    block.push(branch(jumpIfEqual, number, 0, 1), instruction(finish, allow));
  }
  for (const [first, last] of ranges(free.filter(isCommon))) block.push(...range(first, last));
  const newest = Math.max(...[...numbers.values()].filter(isCommon));
  block.push(
    branch(jumpIfGreater, newest, 0, 1),
    instruction(finish, fail | missingErrno),
    instruction(finish, fail | deniedErrno),
  );
  return block;
}

/** A call that is allowed if any of its tests holds. Arguments of these calls are 32 bits wide in the kernel. */
function conditional(name: string, number: number): readonly Instruction[] {
  const tests = allowedSyscalls.flatMap(({ names, test }) => (names.includes(name) && test ? [test] : []));
  const body = tests.flatMap((test) => [
    instruction(load, argumentsOffset + 8 * test.argument),
    passes(test),
    instruction(finish, allow),
  ]);
  body.push(instruction(finish, fail | deniedErrno));
  return [branch(jumpIfEqual, number, 0, body.length), ...body];
}

/** Goes on to the next instruction when the test holds, else skips it. */
function passes(test: ArgumentTest): Instruction {
  if ('is' in test) return branch(jumpIfEqual, test.is, 0, 1);
  if ('isNot' in test) return branch(jumpIfEqual, test.isNot, 1, 0);
  return branch(jumpIfBits, test.lacksBits, 1, 0);
}

/** Ranges come in ascending order: what is below this one was in none. */
function range(first: number, last: number): readonly Instruction[] {
  return [
    branch(jumpIfGreater, last, 3, 0),
    branch(jumpIfAtLeast, first, 0, 1),
    instruction(finish, allow),
    instruction(finish, fail | deniedErrno),
  ];
}

function ranges(numbers: readonly number[]): readonly (readonly [first: number, last: number])[] {
  const found: [number, number][] = [];
  for (const number of [...new Set(numbers)].sort((a, b) => a - b)) {
    const current = found.at(-1);
    if (current !== undefined && current[1] === number - 1) current[1] = number;
    else found.push([number, number]);
  }
  return found;
}

function instruction(code: number, value: number): Instruction {
  return branch(code, value, 0, 0);
}

function branch(code: number, value: number, whenTrue: number, whenFalse: number): Instruction {
  return { code, value, whenTrue, whenFalse };
}

/** Little-endian, as x64 and arm64 are. */
function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  for (const [index, { code, whenTrue, whenFalse, value }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  }
  return bytes;
}
