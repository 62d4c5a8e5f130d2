import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const registry = '/proc/sys/fs/binfmt_misc';
const own = 'cairn-test-aarch64';
/** An ELF file for a 64-bit ARM (binfmt_misc's own notation), and which bits of it count. */
const magic = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const mask = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

/** Programs for arm64 on this machine: where a static busybox lies, and whether the kernel runs it. */
export interface ForeignPrograms {
  readonly busybox: string;
  /** Takes the emulator away again. */
  readonly release: () => void;
}

/**
 * Fetches an arm64 busybox and sees to it that the kernel runs it: it may be that machine, have an emulator already, or get one for
 * the time of the tests. @returns the reason when that cannot be
 */
export function foreignPrograms(): ForeignPrograms | string {
  const script = resolve(import.meta.dirname, '../../fixtures/bases/foreign.sh');
  const fetched = spawnSync(script, { encoding: 'utf8' });
  if (fetched.status !== 0)
    return `fixtures/bases/foreign.sh failed: ${fetched.stderr.trim().split('\n').at(-1)}`;
  const [busybox = '', emulator = ''] = fetched.stdout.split('\n');
  const programs = { busybox, release: () => undefined };
  if (runs(busybox)) return programs;
  if (!existsSync(`${registry}/register`)) spawnSync('mount', ['-t', 'binfmt_misc', 'none', registry]);
  try {
    // F: opened now, so that it is found in every root; P: the command's own name is kept.
    writeFileSync(`${registry}/register`, `:${own}:M::${magic}:${mask}:${emulator}:POF`, 'latin1');
  } catch (error) {
    return `an emulator cannot be registered (binfmt_misc): ${(error as NodeJS.ErrnoException).code}`;
  }
  const release = () => writeFileSync(`${registry}/${own}`, '-1');
  if (runs(busybox)) return { busybox, release };
  release();
  return 'the emulator does not run here';
}

/** Whether an emulator of another owner, or the machine itself, runs programs for arm64. */
export function runsForeignPrograms(): boolean {
  return (
    process.arch === 'arm64' ||
    (existsSync(`${registry}/status`) && readFileSync(`${registry}/status`, 'utf8') === 'enabled\n'
      ? existsSync(`${registry}/qemu-aarch64`)
      : false)
  );
}

function runs(program: string): boolean {
  return spawnSync(program, ['true']).status === 0;
}
