import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import { fromBuffer, fsPath, type MountFlag, mount, toBytes, toText, unmount } from '../sys/index.ts';
import { bind } from './bind.ts';
import type { SandboxMount } from './contracts.ts';
import { mountUnion } from './mount-union.ts';
import { hostPath, resolveInRoot } from './path-in-root.ts';

export interface MountItemOptions {
  /** A folder for this mount alone, which does not exist yet. */
  readonly scratch: string;
  /** Makes the mount point. @returns its host path */
  readonly place: (kind: 'file' | 'dir') => string;
  readonly privileged: boolean;
  readonly userNamespace: boolean;
}

type Of<Kind extends SandboxMount['kind']> = Extract<SandboxMount, { readonly kind: Kind }>;

/** Mounts one thing over the root file system. Only in a mount namespace of its own. */
export function mountItem(item: SandboxMount, options: MountItemOptions): void {
  if (item.kind === 'bind') bindPath(item.source, item, options);
  else if (item.kind === 'overlay') mountOverlayItem(item, options);
  else if (item.kind === 'tmpfs') mountTmpfs(item, options);
  else mountFile(item, options);
}

function mountTmpfs(item: Of<'tmpfs'>, { place }: MountItemOptions): void {
  const size = item.sizeBytes === undefined ? '' : `,size=${item.sizeBytes}`;
  mount(place('dir'), {
    source: 'tmpfs',
    type: 'tmpfs',
    flags: ['no-suid', 'no-dev', ...(item.readOnly === true ? (['read-only'] as const) : [])],
    data: `mode=${(item.mode ?? 0o1777).toString(8)}${size}`,
  });
}

function mountOverlayItem(item: Of<'overlay'>, options: MountItemOptions): void {
  const { scratch, privileged, userNamespace } = options;
  const at = (name: string): string => join(scratch, name);
  mkdirSync(scratch, { mode: 0o700 });
  const [upperDir, workDir, union, empty] = ['upper', 'work', 'union', 'empty'].map(at) as [
    string,
    string,
    string,
    string,
  ];
  for (const folder of [upperDir, workDir, union, empty]) {
    mkdirSync(folder);
    // The root of an overlay has the attributes of the upper directory.
    chmodSync(folder, 0o755);
  }
  const lowerDirs = item.lowerDirs.length === 0 ? [empty] : item.lowerDirs;
  mountUnion(union, { lowerDirs, upperDir, workDir, privileged, userNamespace });
  bindPath(union, item, options);
  // What is bound keeps the union alive; nobody needs the whole of it any more.
  unmount(union, { detach: true });
}

/** Contents go to a tmpfs of this namespace, never to a disk file system. */
function mountFile(item: Of<'file'>, { scratch, place }: MountItemOptions): void {
  mkdirSync(scratch, { mode: 0o700 });
  mount(scratch, { source: 'tmpfs', type: 'tmpfs', flags: ['no-suid', 'no-dev'], data: 'mode=700' });
  const file = join(scratch, 'file');
  writeFileSync(file, item.content, { flag: 'wx', mode: 0o600 });
  chownSync(file, item.uid, item.gid);
  chmodSync(file, item.mode & 0o777);
  const isProgram = (item.mode & 0o111) !== 0;
  bind(file, place('file'), ['read-only', 'no-suid', 'no-dev', ...(isProgram ? [] : (['no-exec'] as const))]);
  unmount(scratch, { detach: true });
}

/**
 * Binds `source`, or a path below it. What lies below may belong to a command (a cache), so its links are followed inside
 * `source` only, and what was found is held open while it is mounted.
 */
function bindPath(
  source: string,
  item: { readonly path?: string; readonly target: string; readonly readOnly: boolean },
  { place, privileged }: MountItemOptions,
): void {
  const fd = openInside(source, item.path ?? '');
  try {
    const kind = fstatSync(fd).isDirectory() ? 'dir' : 'file';
    const flags: readonly MountFlag[] = [
      ...(privileged ? [] : (['no-dev'] as const)),
      ...(item.readOnly ? (['read-only'] as const) : []),
    ];
    bind(`/proc/self/fd/${fd}`, place(kind), flags);
  } finally {
    closeSync(fd);
  }
}

// O_PATH (0o10000000 on every architecture that Node runs on) names a file without opening it for reading.
const pathOnly = 0o10000000 | constants.O_NOFOLLOW;

/** @throws {CairnError} MOUNT_SOURCE_NOT_FOUND */
function openInside(source: string, path: string): number {
  if (path === '') return openSync(source, pathOnly & ~constants.O_NOFOLLOW);
  const root = realpathSync(source);
  const found = resolveInRoot(root, toBytes(path));
  if (found.stats === undefined) throw notFound(path);
  const wanted = hostPath(root, found.path);
  const fd = openSync(fsPath(wanted), pathOnly);
  // Another command that shares the folder may have put a link there meanwhile.
  if (fromBuffer(readlinkSync(`/proc/self/fd/${fd}`, 'buffer')) === wanted) return fd;
  closeSync(fd);
  throw new CairnError('MOUNT_SOURCE_NOT_FOUND', {
    message: `"${toText(wanted)}" changed while it was being mounted`,
    help: 'another command writes to the same cache; use sharing=locked',
  });
}

function notFound(path: string): CairnError {
  return new CairnError('MOUNT_SOURCE_NOT_FOUND', {
    message: `"${path}" does not exist in what is to be mounted`,
    help: 'check "source", or create the path in an earlier RUN with the same mount',
  });
}
