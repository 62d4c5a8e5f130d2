import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import type { Digest } from '../oci/index.ts';
import { syncFolder } from '../sys/index.ts';
import { fileSize, replaceFile, writeFully } from './durable-file.ts';
import { tryLockFile, withFileLock } from './file-lock.ts';
import { removeTree } from './remove-tree.ts';
import { isSystemError, withStoreErrors } from './store-error.ts';
import { migrations, readStoreFormat, storeFormat, writeStoreFormat } from './store-format.ts';
import { blobPath, type StorePaths, storeFolders } from './store-paths.ts';

const privateFolders: ReadonlySet<keyof StorePaths> = new Set([
  'tmp',
  'leases',
  'locks',
  'logs',
  'rootfs',
  'mounts',
]);

/**
 * This process's presence in a store as one who writes: the lease file (locked while the process lives, one line for
 * each leased digest) and a private folder in tmp/. Nothing is made, and no native code is loaded, before the
 * first write: a store that is only read stays untouched.
 *
 * Locks, always taken in this order and never held across an await:
 * - locks/gc: shared to create a lease file, to lease, to put a blob in place and to name one; exclusive to sweep;
 * - locks/index: exclusive to replace index.json.
 */
export class WorkSession {
  readonly #paths: StorePaths;
  readonly #leased = new Set<Digest>();
  /** Asked for before the session was opened; leased when it is. */
  readonly #pending = new Set<Digest>();
  #open: { readonly name: string; readonly leaseFd: number; readonly folder: string } | null = null;
  #counter = 0;

  constructor(paths: StorePaths) {
    this.#paths = paths;
  }

  /** True once something was written, or is about to be. */
  get isOpen(): boolean {
    return this.#open !== null;
  }

  /** Name of this session's lease file and tmp folder, or null before the first write. */
  get name(): string | null {
    return this.#open?.name ?? null;
  }

  /**
   * Makes the store if there is none, then the lease file and the tmp folder. Idempotent.
   * @throws {CairnError} STORE_NOT_ACCESSIBLE, STORE_FULL, STORE_INVALID, STORE_TOO_NEW
   * @throws {CairnError} STORE_PRUNED when something that this process found in the cache is gone
   */
  open(): { readonly name: string; readonly leaseFd: number; readonly folder: string } {
    this.#open ??= withStoreErrors(this.#paths.root, () => {
      ensureLayout(this.#paths);
      return this.shared(() => createLease(this.#paths));
    });
    if (this.#pending.size > 0) this.#leasePending();
    return this.#open;
  }

  /** Runs `work` under the shared gc lock: no sweep happens meanwhile. */
  shared<T>(work: () => T): T {
    return withFileLock(join(this.#paths.locks, 'gc'), 'shared', work);
  }

  /** Runs `work` under the exclusive gc lock: nobody leases, puts or names anything meanwhile. */
  exclusive<T>(work: () => T): T {
    return withFileLock(join(this.#paths.locks, 'gc'), 'exclusive', work);
  }

  /** Runs `work` under the lock of index.json. */
  indexLocked<T>(work: () => T): T {
    return withFileLock(join(this.#paths.locks, 'index'), 'exclusive', work);
  }

  /** A path in the session's tmp folder that nothing has used. */
  temporary(): string {
    this.#counter += 1;
    return join(this.open().folder, String(this.#counter));
  }

  /**
   * Leases blobs if all of them are there. Before the session's first write this only checks and remembers: the
   * lease is taken with the first write, so that a build that finds everything in the cache locks nothing.
   */
  lease(digests: readonly Digest[]): boolean {
    const wanted = digests.filter((digest) => !this.#leased.has(digest));
    if (wanted.length === 0) return true;
    if (this.#open !== null) return this.shared(() => this.leaseLocked(wanted));
    if (!this.#allExist(wanted)) return false;
    for (const digest of wanted) this.#pending.add(digest);
    return true;
  }

  /** As `lease`, for callers that hold the gc lock and have opened the session. */
  leaseLocked(digests: readonly Digest[]): boolean {
    if (!this.#allExist(digests)) return false;
    this.appendLease(digests);
    return true;
  }

  /** Adds lines to the lease file; the caller holds the gc lock and knows, or is about to see, that the blobs exist. */
  appendLease(digests: readonly Digest[]): void {
    const fresh = digests.filter((digest) => !this.#leased.has(digest));
    if (fresh.length === 0) return;
    writeFully(this.open().leaseFd, Buffer.from(fresh.map((digest) => `${digest}\n`).join('')));
    for (const digest of fresh) this.#leased.add(digest);
  }

  /** Gives up leases and removes the tmp folder; what cannot be removed is left to gc. Idempotent. */
  close(): void {
    const open = this.#open;
    this.#open = null;
    this.#leased.clear();
    this.#pending.clear();
    if (open === null) return;
    try {
      removeTree(open.folder);
      fs.rmSync(join(this.#paths.leases, open.name), { force: true });
    } catch (error) {
      // Closing often follows a failure (a full or broken disk), which this must not hide.
      if (!isSystemError(error)) throw error;
    } finally {
      fs.closeSync(open.leaseFd);
    }
  }

  #allExist(digests: readonly Digest[]): boolean {
    return digests.every((digest) => fileSize(blobPath(this.#paths, digest)) !== null);
  }

  #leasePending(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    if (this.shared(() => this.leaseLocked(pending))) return;
    throw new CairnError('STORE_PRUNED', {
      message: 'what this process found in the store was removed by another one before it could be leased',
      help: 'run the command again',
    });
  }
}

function createLease(paths: StorePaths): { name: string; leaseFd: number; folder: string } {
  const name = `${process.pid}-${randomBytes(6).toString('hex')}`;
  const path = join(paths.leases, name);
  fs.closeSync(fs.openSync(path, 'wx', 0o600));
  const leaseFd = tryLockFile(path);
  if (leaseFd === null) throw new Error(`a fresh lease is locked: ${path}`);
  const folder = join(paths.tmp, name);
  fs.mkdirSync(folder, { mode: 0o700 });
  return { name, leaseFd, folder };
}

/** Makes whatever a store has and this one lacks, also after a cut-off start; concurrent calls do not disturb each other. */
function ensureLayout(paths: StorePaths): void {
  const format = readStoreFormat(paths);
  if (format === null) {
    fs.mkdirSync(paths.root, { recursive: true, mode: 0o700 });
    writeStoreFormat(paths, storeFormat);
  }
  const folders = storeFolders(paths);
  if (format === storeFormat && fs.existsSync(paths.index) && folders.every((path) => fs.existsSync(path)))
    return;
  const privates = new Set([...privateFolders].map((key) => paths[key]));
  for (const path of folders)
    fs.mkdirSync(path, { recursive: true, mode: privates.has(path) ? 0o700 : 0o755 });
  if (format !== null && format < storeFormat) migrate(paths, format);
  withFileLock(join(paths.locks, 'index'), 'exclusive', () => writeLayoutFiles(paths));
  syncFolder(paths.root);
}

/** Under the index lock, so that a fresh index never replaces one that another process has just tagged in. */
function writeLayoutFiles(paths: StorePaths): void {
  const temporary = join(paths.tmp, `layout-${process.pid}`);
  fs.rmSync(temporary, { force: true });
  if (!fs.existsSync(paths.layout))
    replaceFile(paths.layout, '{"imageLayoutVersion":"1.0.0"}', { temporary, mode: 0o644 });
  if (!fs.existsSync(paths.index)) {
    const empty = { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: [] };
    replaceFile(paths.index, JSON.stringify(empty), { temporary, mode: 0o644 });
  }
}

/**
 * Raises an older store to the present format, one version at a time.
 * @throws {CairnError} STORE_BUSY while another process works in it
 */
export function migrate(paths: StorePaths, from: number, steps = migrations): void {
  withFileLock(join(paths.locks, 'gc'), 'exclusive', () => {
    for (const name of fs.readdirSync(paths.leases)) {
      const fd = tryLockFile(join(paths.leases, name));
      if (fd === null)
        throw new CairnError('STORE_BUSY', {
          message: `the store ${paths.root} has an older format and another Cairn is at work in it`,
          help: 'wait for it to end, then run the command again',
        });
      fs.closeSync(fd);
    }
    for (let version = readStoreFormat(paths) ?? from; version < storeFormat; version++) {
      steps[version]?.(paths);
      writeStoreFormat(paths, version + 1);
    }
  });
}
