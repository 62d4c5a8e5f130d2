import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  type Stats,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Environment } from './environment.ts';

/** An environment with its file system mounted. */
export interface MountedEnvironment extends Environment {
  /** Folder of store and contexts. */
  readonly home: string;
  /** Folder with the programs that come before the machine's. */
  readonly bin: string;
  close(): void;
}

/** Size of a file system, sparse on disk. */
const sizeBytes = 24 * 1024 ** 3;

/** Makes the environment's file system below `work` and mounts it. @throws {Error} with what mkfs or mount said */
export function mountEnvironment(environment: Environment, work: string): MountedEnvironment {
  const top = join(work, environment.name);
  const [mountPoint, image, bin] = [join(top, 'mnt'), join(top, 'disk.img'), join(top, 'bin')];
  for (const folder of [mountPoint, bin]) mkdirSync(folder, { recursive: true });
  if (environment.fileSystem === 'tmpfs')
    must('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', mountPoint]);
  else {
    must('truncate', ['-s', String(sizeBytes), image]);
    must(`mkfs.${environment.fileSystem}`, [...quiet[environment.fileSystem], image]);
    must('mount', ['-o', 'loop', image, mountPoint]);
  }
  const home = join(mountPoint, environment.path);
  mkdirSync(home, { recursive: true });
  if (environment.daysAhead !== undefined) writeLaterRuntime(bin, environment.daysAhead);
  return {
    ...environment,
    home,
    bin,
    close: () => {
      must('umount', ['-l', mountPoint]);
      rmSync(top, { recursive: true, force: true });
    },
  };
}

const quiet = { ext4: ['-q', '-F'], xfs: ['-q', '-f'], btrfs: ['-q', '-f'] } as const;

function must(program: string, args: readonly string[]): void {
  const run = spawnSync(program, args, { encoding: 'utf8' });
  if (run.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${run.stderr || run.error}`);
}

/** libfaketime's file on this machine, for clocks that are ahead. @throws {Error} when it is not installed */
export function fakeTimeLibrary(): string {
  const path = `/usr/lib/${process.arch === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu/faketime/libfaketimeMT.so.1`;
  if (!existsSync(path)) throw new Error('a clock that is ahead needs the package libfaketime');
  return path;
}

/** A crun whose commands see a later time: it adds libfaketime to what Cairn asks for, then starts the real one. */
function writeLaterRuntime(bin: string, daysAhead: number): void {
  const real = spawnSync('sh', ['-c', 'command -v crun'], { encoding: 'utf8' }).stdout.trim();
  const target = '/dev/shm/.later/libfaketime.so.1';
  const extra = [
    'FAKETIME_DONT_FAKE_MONOTONIC=1',
    'NO_FAKE_STAT=1',
    `FAKETIME=+${daysAhead}d`,
    `LD_PRELOAD=${target}`,
  ];
  const script = `#!${process.execPath}
const { readFileSync, writeFileSync } = require('node:fs');
const { spawnSync } = require('node:child_process');
const args = process.argv.slice(2);
const file = args[args.indexOf('--bundle') + 1] + '/config.json';
const config = JSON.parse(readFileSync(file, 'utf8'));
if (!config.process.env.some((each) => each.startsWith('LD_PRELOAD='))) {
  config.process.env.push(...${JSON.stringify(extra)});
  config.mounts.push({ destination: ${JSON.stringify(target)}, type: 'bind', source: ${JSON.stringify(fakeTimeLibrary())}, options: ['bind', 'ro'] });
  writeFileSync(file, JSON.stringify(config));
}
const run = spawnSync(${JSON.stringify(real)}, args, { stdio: 'inherit', env: {} });
process.exit(run.status ?? 125);
`;
  const path = join(bin, 'crun');
  writeFileSync(path, script);
  chmodSync(path, 0o755);
}

/**
 * Copies a context to where the environment wants it: names created in its order, with its owner, its umask's modes and its
 * times. Hard links stay links.
 */
export function placeContext(source: string, environment: MountedEnvironment, name: string): string {
  const target = join(environment.home, 'contexts', name);
  mkdirSync(target, { recursive: true });
  const links = new Map<number, string>();
  copyFolder(source, target, environment, links);
  settle(source, target, environment);
  return target;
}

function copyFolder(
  source: string,
  target: string,
  environment: Environment,
  links: Map<number, string>,
): void {
  for (const name of inOrder(readdirSync(source).sort(), environment.order)) {
    const [from, to] = [join(source, name), join(target, name)];
    const stat = lstatSync(from);
    const twin = stat.nlink > 1 && !stat.isDirectory() ? links.get(stat.ino) : undefined;
    if (twin !== undefined) linkSync(twin, to);
    else if (stat.isDirectory()) {
      mkdirSync(to);
      copyFolder(from, to, environment, links);
    } else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (stat.isFile()) copyFileSync(from, to);
    else must('cp', ['-a', '--', from, to]);
    if (stat.nlink > 1) links.set(stat.ino, to);
    if (twin === undefined) settle(from, to, environment);
  }
}

function settle(source: string, target: string, environment: Environment): void {
  const stat = lstatSync(source);
  if (!stat.isSymbolicLink()) {
    const attributes = spawnSync('sh', [
      '-c',
      'getfattr -d -m - --absolute-names -- "$1" 2>/dev/null | sed "s|^# file: .*|# file: $2|" | setfattr --restore=- 2>/dev/null; true',
      'sh',
      source,
      target,
    ]);
    if (attributes.error) throw attributes.error;
  }
  lchownSync(target, environment.owner, environment.owner);
  if (!stat.isSymbolicLink()) chmodSync(target, checkoutMode(stat, environment));
  lutimesSync(target, environment.touched, environment.touched);
}

/** What a checkout with the environment's umask would have where this one has 0644 or 0755. */
function checkoutMode(stat: Stats, { checkoutUmask }: Environment): number {
  const mode = stat.mode & 0o7777;
  // No checkout has devices or pipes.
  if (checkoutUmask === '022' || !(stat.isFile() || stat.isDirectory())) return mode;
  return mode === 0o644 ? 0o664 : mode === 0o755 ? 0o775 : mode;
}

function inOrder(names: readonly string[], order: Environment['order']): readonly string[] {
  if (order === 'sorted') return names;
  const reversed = [...names].reverse();
  // Not sorted by anything, and the same each time.
  return order === 'reversed'
    ? reversed
    : [...reversed.filter((_, i) => i % 3 === 1), ...reversed.filter((_, i) => i % 3 !== 1)];
}
