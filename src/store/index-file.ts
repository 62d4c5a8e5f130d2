import * as fs from 'node:fs';
import { CairnError } from '../errors/index.ts';
import { type Descriptor, decodeIndex, type Index, mediaType } from '../oci/index.ts';
import { replaceFile } from './durable-file.ts';
import { compareEntries } from './index-entry.ts';
import { isSystemError, withStoreErrors } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const maxIndexBytes = 64 << 20;
const emptyIndex: Index = { schemaVersion: 2, mediaType: mediaType.ociIndex, manifests: [] };

/** index.json: read without a lock, replaced as a whole under one. */
export class IndexFile {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;
  #known: { readonly identity: string; readonly index: Index } | null = null;

  constructor(paths: StorePaths, session: WorkSession) {
    this.#paths = paths;
    this.#session = session;
  }

  /**
   * The entries now; none when there is no store. Parsed again only when the file was replaced.
   * @throws {CairnError} DOCUMENT_INVALID
   */
  read(): readonly Descriptor[] {
    return withStoreErrors(this.#paths.root, () => this.#readIndex().manifests);
  }

  /**
   * Replaces the entries by `change(entries)`, or does nothing when that returns its argument. Takes the gc lock
   * (shared) and the index lock, so nothing that `change` sees or leases can be swept meanwhile.
   */
  update(change: (entries: readonly Descriptor[]) => readonly Descriptor[]): void {
    withStoreErrors(this.#paths.root, () => {
      this.#session.open();
      this.#session.shared(() => this.updateLocked(change));
    });
  }

  /** As `update`, for callers that hold the gc lock. */
  updateLocked(change: (entries: readonly Descriptor[]) => readonly Descriptor[]): void {
    const temporary = this.#session.temporary();
    this.#session.indexLocked(() => {
      const index = this.#readIndex();
      const manifests = change(index.manifests);
      if (manifests === index.manifests) return;
      const json = JSON.stringify({ ...index, manifests: [...manifests].sort(compareEntries) });
      replaceFile(this.#paths.index, json, { temporary, mode: 0o644 });
    });
  }

  #readIndex(): Index {
    let fd: number;
    try {
      fd = fs.openSync(this.#paths.index, 'r');
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return emptyIndex;
      throw error;
    }
    try {
      const stat = fs.fstatSync(fd, { bigint: true });
      const identity = `${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
      if (this.#known?.identity !== identity) this.#known = { identity, index: this.#parse(fd, stat.size) };
      return this.#known.index;
    } finally {
      fs.closeSync(fd);
    }
  }

  #parse(fd: number, size: bigint): Index {
    const { index: path } = this.#paths;
    if (size > maxIndexBytes)
      throw new CairnError('DOCUMENT_INVALID', { message: `${path} has ${size} bytes: not an index` });
    return decodeIndex(fs.readFileSync(fd, 'utf8'), path);
  }
}
