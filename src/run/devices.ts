import { chmodSync, closeSync, lstatSync, mkdirSync, openSync, readdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type ByteString, decodeDevice, makeNode, mount, type SpecialNode, unmount } from '../sys/index.ts';

export interface DeviceOptions {
  /** Where the device directory is to be mounted: an empty directory of the root file system. */
  readonly target: string;
  /** An empty folder on the host, used for a moment. */
  readonly nodes: string;
  readonly shmSizeBytes: number;
  /** All devices of the host, and new nodes usable. */
  readonly privileged: boolean;
  /** In a user namespace nodes cannot be created: the host's are bound instead. */
  readonly userNamespace: boolean;
}

type Device = readonly [name: string, major: number, minor: number];

/** The nodes of runtime-spec config-linux.md, "Default Devices" (console, ptmx: below). */
const defaultDevices: readonly Device[] = [
  ['full', 1, 7],
  ['null', 1, 3],
  ['random', 1, 8],
  ['tty', 5, 0],
  ['urandom', 1, 9],
  ['zero', 1, 5],
];

// crun makes `core` whether or not the kernel has /proc/kcore, runc when it has: always, to be the same everywhere.
const links: readonly (readonly [name: string, target: string])[] = [
  ['core', '/proc/kcore'],
  ['fd', '/proc/self/fd'],
  ['ptmx', 'pts/ptmx'],
  ['stderr', '/proc/self/fd/2'],
  ['stdin', '/proc/self/fd/0'],
  ['stdout', '/proc/self/fd/1'],
];

// The size that Docker gives to the tmpfs of /dev.
const devSizeBytes = 65536 * 1024;
// Group `tty`, as on every distribution.
const ttyGid = 5;

/**
 * Mounts Docker's default /dev: a tmpfs with the default nodes and links, its own devpts and /dev/shm. Docker grants CAP_MKNOD and
 * lets a devices cgroup decide which nodes can be opened; here no cgroup is needed: the tmpfs is `nodev`, and
 * the default nodes, bound from elsewhere, are the only ones that work. /dev/mqueue is an empty directory for the
 * mount that belongs to the command's IPC namespace.
 */
export function mountDevices(options: DeviceOptions): void {
  const { target, privileged } = options;
  const guard = privileged ? [] : (['no-dev'] as const);
  mount(target, {
    source: 'tmpfs',
    type: 'tmpfs',
    flags: ['no-suid', 'strict-atime', ...guard],
    data: `mode=755,size=${devSizeBytes}`,
  });
  for (const [name, destination] of links) symlinkSync(destination, join(target, name));
  for (const name of ['mqueue', 'pts', 'shm']) mkdirSync(join(target, name), 0o755);
  if (privileged && !options.userNamespace) makeHostNodes(target);
  else if (options.userNamespace) bindNodes('/dev', target);
  else bindOwnNodes(options.nodes, target);
  mountTerminals(join(target, 'pts'));
  mount(join(target, 'shm'), {
    source: 'shm',
    type: 'tmpfs',
    flags: ['no-suid', 'no-dev', 'no-exec'],
    data: `mode=1777,size=${options.shmSizeBytes}`,
  });
}

/** Nodes of our own making rather than the host's, whose owners and modes may be anything. */
function bindOwnNodes(nodes: string, target: string): void {
  mount(nodes, { source: 'tmpfs', type: 'tmpfs', flags: ['no-suid', 'no-exec'], data: 'mode=755' });
  for (const [name, major, minor] of defaultDevices) {
    makeDevice(join(nodes, name), 0o666, { type: 'char', rdev: [major, minor] });
  }
  bindNodes(nodes, target);
  // The bound nodes keep the file system alive.
  unmount(nodes, { detach: true });
}

function bindNodes(from: string, target: string): void {
  for (const [name] of defaultDevices) {
    const node = join(target, name);
    closeSync(openSync(node, 'wx', 0o666));
    mount(node, { source: join(from, name), flags: ['bind'] });
  }
}

function makeDevice(path: string, mode: number, node: SpecialNode): void {
  makeNode(Buffer.from(path).toString('latin1') as ByteString, mode, node);
  chmodSync(path, mode);
}

function mountTerminals(target: string): void {
  const data = 'newinstance,ptmxmode=0666,mode=0620';
  const devpts = { source: 'devpts', type: 'devpts', flags: ['no-suid', 'no-exec'] as const };
  try {
    mount(target, { ...devpts, data: `${data},gid=${ttyGid}` });
  } catch (error) {
    // A user namespace of a single id has no group 5.
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
    mount(target, { ...devpts, data });
  }
}

/** What Docker leaves out of a privileged container's /dev. */
const ownMounts: ReadonlySet<string> = new Set([
  '.lxc',
  '.lxd-mounts',
  '.udev',
  'console',
  'fd',
  'mqueue',
  'ptmx',
  'pts',
  'shm',
]);

function makeHostNodes(target: string): void {
  for (const [name, major, minor] of defaultDevices) {
    makeDevice(join(target, name), 0o666, { type: 'char', rdev: [major, minor] });
  }
  copyNodes('/dev', target, ownMounts);
}

function copyNodes(from: string, to: string, without: ReadonlySet<string>): void {
  for (const name of readdirSync(from)) {
    if (without.has(name)) continue;
    const stats = lstatSync(join(from, name), { throwIfNoEntry: false });
    const copy = join(to, name);
    if (stats === undefined || lstatSync(copy, { throwIfNoEntry: false }) !== undefined) continue;
    if (stats.isDirectory()) {
      mkdirSync(copy, 0o755);
      copyNodes(join(from, name), copy, new Set());
    } else if (stats.isCharacterDevice() || stats.isBlockDevice()) {
      const type = stats.isBlockDevice() ? 'block' : 'char';
      makeDevice(copy, stats.mode & 0o7777, { type, rdev: decodeDevice(stats.rdev) });
    }
  }
}
