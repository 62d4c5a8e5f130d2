import * as fs from 'node:fs';
import { join } from 'node:path';
import { CairnError } from '../errors/index.ts';
import { type DiffId, hexOf } from '../oci/index.ts';
import type { FileBlobStore } from './blob-store.ts';
import type { Toc } from './contracts.ts';
import { readIfExists, replaceFile } from './durable-file.ts';
import { TocBuilder } from './layer/toc-builder.ts';
import { decodeToc, encodeToc } from './layer/toc-codec.ts';
import { isSystemError } from './store-error.ts';
import type { StorePaths } from './store-paths.ts';
import type { WorkSession } from './work-session.ts';

const chunkBytes = 1 << 20;
const headBytes = 512;

/** Tables of contents in toc/, one file for each layer; made again from the blob when missing or damaged. */
export class TocFiles {
  readonly #paths: StorePaths;
  readonly #session: WorkSession;
  readonly #blobs: FileBlobStore;

  constructor(paths: StorePaths, session: WorkSession, blobs: FileBlobStore) {
    this.#paths = paths;
    this.#session = session;
    this.#blobs = blobs;
  }

  /** @throws {CairnError} BLOB_NOT_FOUND, DIGEST_MISMATCH, ARCHIVE_INVALID */
  read(diffId: DiffId): Toc {
    const stored = readIfExists(this.path(diffId));
    const toc = stored === null ? null : decodeToc(stored.toString('utf8'));
    if (toc?.diffId === diffId) return toc;
    const built = this.build(diffId);
    // A store that is only read stays untouched.
    if (this.#session.isOpen) this.save(built);
    return built;
  }

  /** Sum of the sizes of a layer's files; reads only the head of its table. Throws as `read`. */
  contentSize(diffId: DiffId): number {
    const head = readHead(this.path(diffId));
    const match = /"contentSize":(\d+),/.exec(head);
    return match !== null && head.includes(`"${diffId}"`) ? Number(match[1]) : this.read(diffId).contentSize;
  }

  /** The table as the blob has it, whatever is stored. Throws as `read`. */
  build(diffId: DiffId): Toc {
    const size = this.#blobs.size(diffId);
    const builder = new TocBuilder();
    const fd = fs.openSync(this.#blobs.path(diffId), 'r');
    try {
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size + 1));
      for (let length = fs.readSync(fd, chunk); length > 0; length = fs.readSync(fd, chunk))
        builder.write(chunk.subarray(0, length));
    } finally {
      fs.closeSync(fd);
    }
    const toc = builder.finish();
    if (toc.diffId === diffId) return toc;
    throw new CairnError('DIGEST_MISMATCH', {
      message: `layer ${diffId} is damaged: its bytes have the digest ${toc.diffId}`,
      help: '"cairn fsck --repair" removes it; build, load or pull the image again',
    });
  }

  /** Keeps a table for later; may be lost in a power cut, since it can be made again. */
  save(toc: Toc): void {
    const temporary = this.#session.temporary();
    replaceFile(this.path(toc.diffId), encodeToc(toc), { temporary, mode: 0o644, durable: false });
  }

  /** Writes a table to a temporary file, for a layer that is not in the store yet. */
  stage(toc: Toc): { readonly diffId: DiffId; readonly path: string } {
    const path = this.#session.temporary();
    fs.writeFileSync(path, encodeToc(toc), { flag: 'wx', mode: 0o644 });
    return { diffId: toc.diffId, path };
  }

  /** Keeps what `stage` returned. */
  publish(staged: { readonly diffId: DiffId; readonly path: string }): void {
    fs.renameSync(staged.path, this.path(staged.diffId));
  }

  path(diffId: DiffId): string {
    return join(this.#paths.toc, hexOf(diffId));
  }
}

function readHead(path: string): string {
  let fd: number;
  try {
    fd = fs.openSync(path, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
  try {
    const buffer = Buffer.alloc(headBytes);
    return buffer.toString('latin1', 0, fs.readSync(fd, buffer));
  } finally {
    fs.closeSync(fd);
  }
}
