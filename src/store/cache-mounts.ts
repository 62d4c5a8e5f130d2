import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as v from 'valibot';
import { type LockKind, tryLock } from '../sys/index.ts';
import type { FileBlobStore } from './blob-store.ts';
import type { CacheMountRequest, CacheMounts, HeldCacheMounts, LayerStore } from './contracts.ts';
import { listIfExists, listReadable, readIfExists, replaceFile } from './durable-file.ts';
import { withFileLock } from './file-lock.ts';
import { removeTree } from './remove-tree.ts';
import { withStoreErrors } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import { treeBytes } from './tree-bytes.ts';
import { unpackInSlices } from './unpacked-layers.ts';
import type { WorkSession } from './work-session.ts';

const firstPauseMs = 5;
const longestPauseMs = 200;

export interface CacheMountsOptions {
  readonly paths: StorePaths;
  readonly session: WorkSession;
  readonly blobs: FileBlobStore;
  readonly layers: LayerStore;
  /** Notes when a cache was of use. */
  readonly now?: () => number;
}

/** A copy of a cache in use. */
interface Held {
  /** Its folder or file on the host. */
  readonly path: string;
  readonly fd: number;
}

/**
 * cache/mounts/: one folder for each cache, named after what tells it apart, with `about.json` for people. In it lie its copies:
 * `N/content` is the data, `N.lock` the file whose flock says who uses it (the kernel frees it when its user dies). More than one
 * copy exists when `private` users, or others beside an exclusive one, ran at once.
 *
 * `lock` of the folder is held to look at the locks of the copies or to add one; the shared gc lock around it keeps pruning away.
 * Locks of copies are taken last, without waiting under another lock.
 */
export class FileCacheMounts implements CacheMounts {
  readonly #options: CacheMountsOptions;

  constructor(options: CacheMountsOptions) {
    this.#options = options;
  }

  async acquire(requests: readonly CacheMountRequest[], signal?: AbortSignal): Promise<HeldCacheMounts> {
    const names = requests.map(folderName);
    const held = new Map<string, Held>();
    const release = (): void => {
      for (const { fd } of held.values()) this.#release(fd);
      held.clear();
    };
    try {
      // In one order for everybody, so that two users of several locked caches cannot each hold what the other waits for.
      for (const name of [...new Set(names)].sort()) {
        const request = requests[names.indexOf(name)] as CacheMountRequest;
        held.set(name, await this.#take(name, request, signal));
      }
    } catch (error) {
      release();
      throw error;
    }
    return { paths: names.map((name) => (held.get(name) as Held).path), release };
  }

  async #take(name: string, request: CacheMountRequest, signal: AbortSignal | undefined): Promise<Held> {
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      signal?.throwIfAborted();
      const found = this.#tryTake(name, request);
      if (found !== 'none' && found !== 'busy') return found;
      if (found === 'none' || request.sharing !== 'locked') {
        const made = await this.#make(name, request);
        if (made !== null) return made;
      } else await sleep(pauseMs, undefined, signal ? { signal } : {});
    }
  }

  /** A copy that is free for this use; `busy` when all are taken. */
  #tryTake(name: string, request: CacheMountRequest): Held | 'none' | 'busy' {
    const { paths, session } = this.#options;
    const folder = join(paths.mounts, name);
    session.open();
    return withStoreErrors(paths.root, () =>
      session.shared(() => {
        if (!fs.existsSync(folder)) return 'none';
        return withFileLock(join(folder, 'lock'), 'exclusive', () => takeFree(folder, lockKind(request)));
      }),
    );
  }

  /**
   * Adds a copy and takes it.
   * @returns null when, after all, there is one to be had or (sharing locked) to be waited for.
   */
  async #make(name: string, request: CacheMountRequest): Promise<Held | null> {
    const { paths, session } = this.#options;
    const folder = join(paths.mounts, name);
    const fresh = session.temporary();
    try {
      await this.#fill(fresh, request);
      return withStoreErrors(paths.root, () =>
        session.shared(() => {
          this.#describe(folder, request);
          return withFileLock(join(folder, 'lock'), 'exclusive', () => {
            const found = takeFree(folder, lockKind(request));
            if (found === 'busy' && request.sharing === 'locked') return null;
            return found === 'none' || found === 'busy' ? addCopy(folder, fresh, lockKind(request)) : found;
          });
        }),
      );
    } finally {
      removeTree(fresh);
    }
  }

  /** Makes `target/content` as a new cache starts. */
  async #fill(target: string, { seed, attributes }: CacheMountRequest): Promise<void> {
    const { layers, blobs } = this.#options;
    fs.mkdirSync(target, { mode: 0o700 });
    if (seed !== undefined) {
      await unpackInSlices(layers.toc(seed), { target, tarPath: blobs.path(seed) });
      return;
    }
    const content = join(target, 'content');
    const { mode, uid, gid } = attributes ?? { mode: 0o755, uid: 0, gid: 0 };
    fs.mkdirSync(content);
    if (attributes !== undefined) fs.chownSync(content, uid, gid);
    fs.chmodSync(content, mode & 0o7777);
  }

  #describe(folder: string, { namespace, id, seed, attributes }: CacheMountRequest): void {
    const { session } = this.#options;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = join(folder, 'about.json');
    if (fs.existsSync(path)) return;
    const about = { namespace, id, ...(seed && { seed }), ...(attributes && { attributes }) };
    replaceFile(path, JSON.stringify(about), { temporary: session.temporary(), mode: 0o600, durable: false });
  }

  #release(fd: number): void {
    const at = (this.#options.now?.() ?? 0) / 1000;
    if (at > 0) fs.futimesSync(fd, at, at);
    fs.closeSync(fd);
  }
}

function lockKind({ sharing }: CacheMountRequest): LockKind {
  return sharing === 'shared' ? 'shared' : 'exclusive';
}

/** Short enough for paths, long enough for no collision. */
function folderName({ namespace, id, seed, attributes }: CacheMountRequest): string {
  const { mode, uid, gid } = attributes ?? {};
  const identity = JSON.stringify([namespace, id, seed ?? null, attributes ? [mode, uid, gid] : null]);
  return createHash('sha256').update(identity).digest('hex').slice(0, 32);
}

/** Numbers of the copies of a cache, oldest first. */
function copiesOf(folder: string): readonly number[] {
  return listIfExists(folder)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b);
}

function takeFree(folder: string, kind: LockKind): Held | 'none' | 'busy' {
  const copies = copiesOf(folder);
  for (const copy of copies) {
    const fd = openLock(folder, copy);
    if (tryLock(fd, kind)) return { path: join(folder, String(copy), 'content'), fd };
    fs.closeSync(fd);
  }
  return copies.length === 0 ? 'none' : 'busy';
}

function addCopy(folder: string, fresh: string, kind: LockKind): Held {
  const copy = (copiesOf(folder).at(-1) ?? -1) + 1;
  const fd = openLock(folder, copy);
  // Only those who hold the folder's lock take the locks of copies: this one is free.
  if (!tryLock(fd, kind)) throw new Error(`the lock of a new cache is taken: ${folder}/${copy}.lock`);
  fs.renameSync(fresh, join(folder, String(copy)));
  return { path: join(folder, String(copy), 'content'), fd };
}

function openLock(folder: string, copy: number): number {
  return fs.openSync(join(folder, `${copy}.lock`), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
}

// ------------------------------------------------------------------------------------------ maintenance

/** A copy of a cache, as `system df` and `builder prune` see it. */
export interface CacheMountEntry {
  /** Folder of the cache and number of the copy: its name for people. */
  readonly name: string;
  readonly namespace: string;
  readonly id: string;
  /** Allocated bytes. */
  readonly sizeBytes: number;
  readonly createdMs: number;
  readonly lastUsedMs: number;
  /** A build uses it at this moment. */
  readonly inUse: boolean;
}

const aboutSchema = v.object({ namespace: v.string(), id: v.string() });

/** All copies of all caches. Callers need no lock: what goes meanwhile is left out. */
export function listCacheMounts(paths: StorePaths): readonly CacheMountEntry[] {
  return listReadable(paths.mounts).flatMap((name) => {
    const folder = join(paths.mounts, name);
    const { namespace, id } = readAbout(join(folder, 'about.json'));
    return copiesOf(folder).flatMap((copy) => {
      const data = join(folder, String(copy));
      const stat = fs.statSync(data, { throwIfNoEntry: false });
      const lastUsed = fs.statSync(join(folder, `${copy}.lock`), { throwIfNoEntry: false });
      if (stat === undefined || lastUsed === undefined) return [];
      return {
        name: `${name}-${copy}`,
        namespace,
        id,
        sizeBytes: treeBytes(data),
        createdMs: stat.birthtimeMs,
        lastUsedMs: lastUsed.mtimeMs,
        inUse: isInUse(folder, copy),
      };
    });
  });
}

/**
 * Moves a copy to `trash` unless it is in use. The caller holds the exclusive gc lock, so nobody takes one meanwhile.
 * @returns whether it went
 */
export function removeCacheMount(paths: StorePaths, { name }: CacheMountEntry, trash: string): boolean {
  const dash = name.lastIndexOf('-');
  const folder = join(paths.mounts, name.slice(0, dash));
  const copy = Number(name.slice(dash + 1));
  const fd = openLock(folder, copy);
  try {
    if (!tryLock(fd, 'exclusive')) return false;
    fs.renameSync(join(folder, String(copy)), join(trash, `mount-${name}`));
    fs.rmSync(join(folder, `${copy}.lock`), { force: true });
  } finally {
    fs.closeSync(fd);
  }
  if (copiesOf(folder).length === 0) removeTree(folder);
  return true;
}

function readAbout(path: string): { readonly namespace: string; readonly id: string } {
  try {
    const parsed = v.safeParse(aboutSchema, JSON.parse(readIfExists(path)?.toString('utf8') ?? 'null'));
    if (parsed.success) return parsed.output;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  return { namespace: '', id: '' };
}

/** Under the folder's lock, so that nobody who wants the copy finds it taken by this question. */
function isInUse(folder: string, copy: number): boolean {
  try {
    return withFileLock(join(folder, 'lock'), 'exclusive', () => {
      const fd = fs.openSync(join(folder, `${copy}.lock`), fs.constants.O_RDWR);
      try {
        return !tryLock(fd, 'exclusive');
      } finally {
        fs.closeSync(fd);
      }
    });
  } catch {
    // Removed in this instant, or not ours to lock: nothing to keep anybody from.
    return false;
  }
}
