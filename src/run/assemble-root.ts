import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import { type ByteString, mount, toBytes, toText } from '../sys/index.ts';
import { bind } from './bind.ts';
import type { SandboxMount, SandboxSpec } from './contracts.ts';
import { mountDevices } from './devices.ts';
import { mountItem } from './mount-item.ts';
import { mountUnion } from './mount-union.ts';
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
  const privileged = spec.privileged === true;
  mountRoot(folders, { privileged, userNamespace });
  const root = folders.root;
  const stubs = new Stubs(root);
  const place = (target: string, kind: 'file' | 'dir'): string =>
    toText(hostPath(root, stubs.ensure(toBytes(target), kind)));
  for (const target of ['/proc', '/sys']) place(target, 'dir');
  mountDevices({
    target: place('/dev', 'dir'),
    nodes: folders.nodes,
    shmSizeBytes: spec.shmSizeBytes ?? defaultShmSizeBytes,
    privileged,
    userNamespace,
  });
  for (const [source, target] of [
    [folders.resolvConf, '/etc/resolv.conf'],
    [folders.hosts, '/etc/hosts'],
  ] as const) {
    bind(source, place(target, 'file'), ['read-only', 'no-suid', 'no-dev', 'no-exec']);
  }
  for (const [number, item] of parentsFirst(spec.mounts).entries())
    mountItem(item, {
      scratch: join(folders.mounts, String(number)),
      place: (kind) => {
        const path = stubs.ensure(toBytes(item.target), kind);
        refuseKernelFolders(item.target, path);
        return toText(hostPath(root, path));
      },
      privileged,
      userNamespace,
    });
  stubs.makeDirectory(toBytes(spec.cwd));
  const guard = privileged ? [] : (['no-dev'] as const);
  if (spec.readOnlyRoot === true) mount(root, { flags: ['remount', 'bind', 'read-only', ...guard] });
  mount(root, { flags: ['recursive', 'private'] });
  return stubs;
}

function mountRoot(
  folders: StepFolders,
  options: { readonly privileged: boolean; readonly userNamespace: boolean },
): void {
  const { lowerDirs, upperDir, workDir, root } = folders;
  try {
    mountUnion(root, { lowerDirs, upperDir, workDir, ...options });
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

/** What the runtime mounts last would hide anything below these. */
const kernelFolders: readonly string[] = ['proc', 'sys', 'dev/mqueue'];

function refuseKernelFolders(target: string, path: ByteString): void {
  const folder = kernelFolders.find((each) => path === each || path.startsWith(`${each}/`));
  if (folder === undefined) return;
  throw new CairnError('MOUNT_TARGET_INVALID', {
    message: `cannot mount on "${target}": /${folder} is the kernel's`,
    help: 'choose a target outside /proc and /sys',
  });
}
