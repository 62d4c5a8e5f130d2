import { statSync } from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type MountFlag, mount, mountOverlay, toBytes, toText } from '../sys/index.ts';
import type { SandboxMount, SandboxSpec } from './contracts.ts';
import { mountDevices } from './devices.ts';
import { hostPath } from './path-in-root.ts';
import type { StepFolders } from './step-folders.ts';
import { Stubs } from './stubs.ts';

export interface AssembleOptions {
  readonly spec: SandboxSpec;
  readonly folders: StepFolders;
  /** This process runs in a user namespace other than the machine's first. */
  readonly userNamespace: boolean;
}

const defaultShmSizeBytes = 64 * 1024 * 1024;

/**
 * Puts the root file system of one command together at `folders.root`: overlay, /dev, /etc/hosts, /etc/resolv.conf, the
 * spec's mounts. Only in a mount namespace of its own (sys `inNewNamespaces`). What depends on the command's other
 * namespaces (/proc, /sys, /dev/mqueue) is left to the runtime; its mount points are there.
 * @returns the mount points that the image lacked, to be removed when the command is over.
 */
export function assembleRoot({ spec, folders, userNamespace }: AssembleOptions): Stubs {
  const guard: readonly MountFlag[] = spec.privileged === true ? [] : ['no-dev'];
  mountRoot(folders, { privileged: spec.privileged === true, userNamespace });
  const root = folders.root;
  const stubs = new Stubs(root);
  const place = (target: string, kind: 'file' | 'dir'): string =>
    toText(hostPath(root, stubs.ensure(toBytes(target), kind)));
  for (const target of ['/proc', '/sys']) place(target, 'dir');
  mountDevices({
    target: place('/dev', 'dir'),
    nodes: folders.nodes,
    shmSizeBytes: spec.shmSizeBytes ?? defaultShmSizeBytes,
    privileged: spec.privileged === true,
    userNamespace,
  });
  for (const [source, target] of [
    [folders.resolvConf, '/etc/resolv.conf'],
    [folders.hosts, '/etc/hosts'],
  ] as const) {
    bind(source, place(target, 'file'), ['read-only', 'no-suid', 'no-dev', 'no-exec']);
  }
  for (const item of parentsFirst(spec.mounts)) mountItem(item, place, guard);
  stubs.makeDirectory(toBytes(spec.cwd));
  if (spec.readOnlyRoot === true) mount(root, { flags: ['remount', 'bind', 'read-only', ...guard] });
  mount(root, { flags: ['recursive', 'private'] });
  return stubs;
}

/** Whether overlay takes `volatile` (Linux 5.10), unknown before the first mount. */
let hasVolatile: boolean | undefined;

function mountRoot(
  folders: StepFolders,
  options: { readonly privileged: boolean; readonly userNamespace: boolean },
): void {
  const attempt = (isVolatile: boolean): void =>
    mountOverlay(folders.root, {
      lowerDirs: folders.lowerDirs,
      upper: { upperDir: folders.upperDir, workDir: folders.workDir },
      options: {
        // A renamed directory and a changed mode must be plain files in the upper directory.
        redirect_dir: 'off',
        metacopy: 'off',
        index: 'off',
        ...(options.userNamespace ? { userxattr: null } : {}),
        // The upper directory is packed into a layer, which is synced, or thrown away: syncing it is wasted time.
        ...(isVolatile ? { volatile: null } : {}),
      },
      // Nodes that a command creates enter the layer, but must not open the host's disks.
      flags: options.privileged ? [] : ['no-dev'],
    });
  try {
    if (hasVolatile !== false) {
      try {
        attempt(true);
        hasVolatile = true;
        return;
      } catch (error) {
        if (hasVolatile === true || (error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
      }
    }
    attempt(false);
    hasVolatile = false;
  } catch (error) {
    throw new CairnError('SANDBOX_UNAVAILABLE', {
      message: `the layers of the image cannot be mounted as an overlay: ${(error as Error).message}`,
      help: 'keep the store (--root) on a file system that overlay can write to, such as ext4, xfs, btrfs or tmpfs',
      cause: error,
    });
  }
}

/** A mount below another one must come after it; else the order is kept. */
function parentsFirst(mounts: readonly SandboxMount[]): readonly SandboxMount[] {
  const depth = (item: SandboxMount): number => item.target.split('/').filter((name) => name !== '').length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}

function mountItem(
  item: SandboxMount,
  place: (target: string, kind: 'file' | 'dir') => string,
  guard: readonly MountFlag[],
): void {
  if (item.kind === 'tmpfs') {
    const size = item.sizeBytes === undefined ? '' : `,size=${item.sizeBytes}`;
    mount(place(item.target, 'dir'), {
      source: 'tmpfs',
      type: 'tmpfs',
      flags: ['no-suid', 'no-dev'],
      data: `mode=${(item.mode ?? 0o1777).toString(8)}${size}`,
    });
    return;
  }
  const kind = statSync(item.source).isDirectory() ? 'dir' : 'file';
  bind(item.source, place(item.target, kind), [...guard, ...(item.readOnly ? (['read-only'] as const) : [])]);
}

/** A bind takes its flags from what it shows; others need a second call (mount(2), "Remounting"). */
function bind(source: string, target: string, flags: readonly MountFlag[]): void {
  mount(target, { source, flags: ['bind', 'recursive'] });
  if (flags.length > 0) mount(target, { flags: ['remount', 'bind', ...flags] });
}
